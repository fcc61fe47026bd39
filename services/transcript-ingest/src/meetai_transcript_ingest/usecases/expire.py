"""What is older than the retention is forgotten, day by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

import structlog

from meetai_transcript_ingest.ports import Observer, Retention

AUDIT_DAYS: Final = 400
"""The audit outlives what it is about: a year, and time to ask about it."""
MAX_BATCHES: Final = 500
"""A round's; a million rows. The next goes on."""

MAX_SKEW_SECONDS: Final = 60.0
"""Clocks that differ by more are worth a warning: NTP keeps machines within 100 ms."""

log = structlog.get_logger()


class ExpireTranscripts:
    """One round.

    Args:
        retention: Where transcripts are kept.
        days: How many whole days a transcript is kept, counted from the day on which its producer started.
        observer: Is told how much was removed.
        now: The time by this process's clock. The store's own counts as well, and the earlier of the two decides: a clock that
            runs ahead must not drop anything early, and what is kept too long is dropped once the clock is right.
    """

    def __init__(self, retention: Retention, *, days: int, observer: Observer, now: Callable[[], datetime]) -> None:
        self._retention = retention
        self._days = days
        self._observer = observer
        self._now = now

    async def __call__(self) -> int:
        """Forget what is due; 1 when all of it is gone, 0 when a reader or another replica was in the way.

        Raises:
            TryLaterError: the store is away.
        """
        first_kept = (await self._earlier_time()).astimezone(UTC).date() - timedelta(days=self._days)
        before = datetime.combine(first_kept, time(), UTC)
        audit_before = before - timedelta(days=AUDIT_DAYS)
        dropped, is_all = await self._retention.drop_partitions(first_kept)
        if dropped:
            self._observer.expired("partitions", dropped)
        for _ in range(MAX_BATCHES):
            gone = await self._retention.expire_some(before, audit_before=audit_before)
            if not gone:
                return 1 if is_all else 0
            for what, count in gone.items():
                self._observer.expired(what, count)
            log.info("transcripts_expired", before=first_kept.isoformat(), **gone)
        return 0

    async def _earlier_time(self) -> datetime:
        ours, theirs = self._now(), await self._retention.now()
        ahead_seconds = (ours - theirs).total_seconds()
        if abs(ahead_seconds) > MAX_SKEW_SECONDS:
            log.warning("clocks_differed", ahead_of_store_seconds=round(ahead_seconds))
        return min(ours, theirs)
