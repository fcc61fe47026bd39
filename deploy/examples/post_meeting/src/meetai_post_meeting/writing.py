"""A meeting's transcript becomes its summary, and is stored: what the functions do, without Inngest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog
from msgspec import Struct

from meetai_contracts.summary import MeetingSummary
from meetai_post_meeting import extractive
from meetai_post_meeting.engine import Engine
from meetai_post_meeting.errors import MeetingGoneError, ModelError
from meetai_post_meeting.turns import Turn, merge

log = structlog.get_logger()


class Summariser(Protocol):
    """What writes a summary, and may fail to."""

    async def summarise(self, turns: Sequence[Turn], producer_ids: Sequence[UUID]) -> MeetingSummary:
        """Write one.

        Raises:
            ModelError: it can't.
        """


class Written(Struct, frozen=True, rename="camel"):
    """What came of it, without a word of the summary: Inngest keeps what its steps return.

    Attributes:
        stored: False for a meeting that was erased meanwhile.
    """

    stored: bool
    written_by: str = ""
    lines: int = 0
    turns: int = 0


class WriteSummary:
    """Fetch, summarise, store.

    Args:
        engine: Where transcripts are.
        model: Asked first; without it, and when it fails, the rules of `extractive` write the summary.
    """

    def __init__(self, engine: Engine, model: Summariser | None) -> None:
        self._engine = engine
        self._model = model

    async def __call__(self, meeting_id: str, room_sid: str) -> Written:
        """Of all that is kept of the meeting. May be repeated.

        Raises:
            EngineAwayError, EngineRefusedError: see `Engine`.
        """
        try:
            lines = await self._engine.lines(meeting_id)
            integrity = await self._engine.integrity(meeting_id)
            # Those who heard nothing in this room are named as well: so it is known that they listened.
            listened = [p.producer_id for p in integrity.producers if p.room_sid == room_sid]
            producer_ids = tuple(dict.fromkeys([*(line.producer_id for line in lines), *listened]))
            turns = merge(lines)
            summary = await self._summarise(meeting_id, turns, producer_ids)
            await self._engine.store(meeting_id, summary)
        except MeetingGoneError as error:
            log.info("summary_dropped", meeting_id=meeting_id, cause=str(error))
            return Written(stored=False)
        log.info("summary_stored", meeting_id=meeting_id, written_by=summary.written_by, lines=len(lines))
        return Written(stored=True, written_by=summary.written_by, lines=len(lines), turns=len(turns))

    async def _summarise(self, meeting_id: str, turns: Sequence[Turn], producer_ids: Sequence[UUID]) -> MeetingSummary:
        if self._model is not None and turns:
            try:
                return await self._model.summarise(turns, producer_ids)
            except ModelError as error:
                log.warning("model_failed", meeting_id=meeting_id, cause=str(error))
        return extractive.summarise(turns, producer_ids)


class HasListener:
    """Whether an agent ever listened in a room: then its completion starts the summary."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, meeting_id: str, room_sid: str) -> bool:
        """Ask; errors as for `WriteSummary`."""
        integrity = await self._engine.integrity(meeting_id)
        return any(producer.room_sid == room_sid for producer in integrity.producers)
