"""What the application says of a meeting and its agent, as it changes in the live room.

Owns what is taken up and what isn't: a restarted SFU has forgotten the metadata, and a bad one is worth less than the last good
one. Must not know who goes by it: the recollection is told first, then everybody who asked to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from livekit import rtc

from meetai_agent.domain.briefing import Recollection
from meetai_agent.domain.metadata import read_metadata

INTRODUCE_SECONDS: Final = 5.0

log = structlog.get_logger()


class MetadataChanges:
    """Follows one room's metadata."""

    def __init__(self, room: rtc.Room, recollection: Recollection) -> None:
        self._room = room
        self._recollection = recollection
        self._told: list[Callable[[], None]] = []
        self._introducing: asyncio.Task[None] | None = None

    def start(self, known: str) -> None:
        """Take up what is other than what is known already, now and from now on."""
        self._room.on("room_metadata_changed", self._changed)
        if self._room.metadata != known:
            self._changed(known, self._room.metadata)

    def then(self, told: Callable[[], None]) -> None:
        """From now on, call this after each change; what it raises is logged."""
        self._told.append(told)

    async def aclose(self) -> None:
        """Stop."""
        self._room.off("room_metadata_changed", self._changed)
        if self._introducing is not None:
            self._introducing.cancel()
            await asyncio.gather(self._introducing, return_exceptions=True)

    def _changed(self, _old: str, new: str) -> None:
        if not new:
            return
        metadata, verdict = read_metadata(new)
        if metadata is None:
            log.error("metadata_rejected", reason=verdict)
            return
        self._recollection.learn(metadata)
        for told in self._told:
            try:
                told()
            except Exception:
                log.exception("metadata_not_taken_up")
        log.info("metadata_changed")
        if metadata.agent_data is not None:
            self._introducing = asyncio.create_task(self._introduce(metadata.agent_data.name), name="introduce")

    async def _introduce(self, name: str) -> None:
        """Be shown under the new name."""
        try:
            async with asyncio.timeout(INTRODUCE_SECONDS):
                await self._room.local_participant.set_name(name)
        except Exception:
            log.exception("name_unchanged")
