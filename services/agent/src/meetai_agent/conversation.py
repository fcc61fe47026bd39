"""A meeting's conversation as the room drives it: its chat in, changes of its metadata in, answers out.

Owns what of the room's events concerns the conversation, and its life within the job. Must not touch the transcription: whatever
goes wrong here is logged, and people are transcribed all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from livekit import rtc

from meetai_agent.usecases.converse import Conversation
from meetai_contracts.codec import ContractError
from meetai_contracts.room import parse_room_metadata

START_SECONDS: Final = 20.0
INTRODUCE_SECONDS: Final = 5.0

log = structlog.get_logger()


class Voice(Protocol):
    """What starts and stops with the conversation."""

    async def start(self) -> None:
        """Be ready to talk."""

    async def aclose(self) -> None:
        """Stop. Never raises."""


class ChatRoom(Protocol):
    """The room's chat, incoming."""

    def receive(self, on_message: Callable[[str, str], None]) -> None:
        """Give every message, its sender's identity first, to `on_message`."""

    async def aclose(self) -> None:
        """Stop."""


class RoomConversation:
    """The conversation of one job.

    Args:
        humans: Kinds of participants that count as people.
        on_metadata: Told when the application has changed the metadata.
    """

    def __init__(
        self,
        room: rtc.Room,
        conversation: Conversation,
        voice: Voice,
        chat: ChatRoom,
        *,
        humans: Collection[Any],
        on_metadata: Callable[[], None],
    ) -> None:
        self._room = room
        self._conversation = conversation
        self._voice = voice
        self._chat = chat
        self._humans = humans
        self._on_metadata = on_metadata
        self._introducing: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Begin. Never raises: returns whether there is a conversation."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._voice.start()
            self._chat.receive(self._written)
        except Exception:
            log.exception("conversation_unavailable")
            return False
        self._room.on("room_metadata_changed", self._metadata_changed)
        self._running = asyncio.create_task(self._conversation.run(), name="conversation")
        return True

    async def finish(self) -> None:
        """Fall silent: what was said so far is a line. Never raises."""
        self._conversation.close()
        tasks = [task for task in (self._running, self._introducing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._voice.aclose()
        with suppress(Exception):
            await self._chat.aclose()

    def _written(self, identity: str, text: str) -> None:
        """Other agents aren't answered: two of them would talk for ever."""
        sender = self._room.remote_participants.get(identity)
        if sender is not None and sender.kind in self._humans:
            self._conversation.written(identity, sender.name, text)

    def _metadata_changed(self, _old: str, new: str) -> None:
        """Take a change up. A restarted SFU has forgotten it, and a bad one is worth less than the last good one."""
        if not new:
            return
        try:
            metadata = parse_room_metadata(new)
        except ContractError as error:
            log.error("metadata_rejected", reason=f"invalid: {error}")  # noqa: TRY400 - the reason says it all
            return
        self._conversation.learn(metadata)
        try:
            self._on_metadata()
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
