"""A meeting is forgotten: unreadable at once, then removed bit by bit, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.ports import Erasures, Observer

ANSWER_SECONDS: Final = 5.0
"""Who asks is kept waiting this long for the end: some 300,000 lines on two busy cores. Proxies cut requests after 15 s or more."""
BATCH_MEETINGS: Final = 100

log = structlog.get_logger()


class EraseMeeting:
    """Erases on request, and goes on with what was not finished.

    Args:
        erasures: Where meetings are kept.
        observer: Is told when an erasure is finished.
        monotonic: Seconds, for the answer.
    """

    def __init__(self, erasures: Erasures, *, observer: Observer, monotonic: Callable[[], float]) -> None:
        self._erasures = erasures
        self._observer = observer
        self._monotonic = monotonic

    async def __call__(self, meeting_id: str, *, actor: str) -> bool:
        """Make a meeting unreadable for good; true when everything of it is already gone, false when that takes longer.

        Raises:
            TryLaterError: the store is away; perhaps nothing has happened.
        """
        await self._erasures.request(meeting_id, actor=actor)
        log.info("erasure_requested", meeting_id=meeting_id, actor=actor)
        return await self._remove_for_now(meeting_id)

    async def go_on(self) -> int:
        """Remove what unfinished erasures still cover; how many were finished. One that can't go on holds up no other.

        Raises:
            TryLaterError: the store is away.
        """
        finished = 0
        for meeting_id in await self._erasures.unfinished(BATCH_MEETINGS):
            finished += await self._remove_for_now(meeting_id)
        return finished

    async def _remove_for_now(self, meeting_id: str) -> bool:
        try:
            return await self._remove(meeting_id)
        except TryLaterError as error:
            log.warning("erasure_postponed", meeting_id=meeting_id, cause=str(error))
            return False

    async def _remove(self, meeting_id: str) -> bool:
        ends = self._monotonic() + ANSWER_SECONDS
        while await self._erasures.erase_some(meeting_id):
            if self._monotonic() > ends:
                return False
        self._observer.erased()
        log.info("erasure_finished", meeting_id=meeting_id)
        return True
