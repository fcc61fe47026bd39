"""What there is to tell: decided when a room has been quiet for a while, then told at least once, always under the same id."""

from __future__ import annotations

from typing import Final

import structlog

from meetai_transcript_ingest.ports import EventsStream, Outbox

BATCH_EVENTS: Final = 100
"""A completed room is one event of some 300 bytes."""
BATCH_ROOMS: Final = 50
"""Each room's lines are counted by the index alone: 10,000 of them take some milliseconds."""
LEASE_SECONDS: Final = 10.0
"""Longer than a publication may take (the Redis client gives up after 5 s), and how late events are after a failed one."""

log = structlog.get_logger()


class CompleteRooms:
    """One look at the rooms that may be complete (ADR 0027).

    Args:
        outbox: Where they are noted.
        quiet_seconds: For how long nothing must have ended in a room, so that an agent which takes over has opened by then.
    """

    def __init__(self, outbox: Outbox, *, quiet_seconds: float) -> None:
        self._outbox = outbox
        self._quiet_seconds = quiet_seconds

    async def __call__(self) -> int:
        """Decide; returns how many rooms are complete.

        Raises:
            TryLaterError: the outbox is away.
        """
        completed = await self._outbox.complete_quiet_rooms(quiet_seconds=self._quiet_seconds, limit=BATCH_ROOMS)
        if completed:
            log.info("rooms_completed", rooms=completed)
        return completed


class PublishEvents:
    """One round of the relay."""

    def __init__(self, outbox: Outbox, stream: EventsStream) -> None:
        self._outbox = outbox
        self._stream = stream

    async def __call__(self) -> int:
        """Publish what is due, and only then mark it sent; returns how much that was.

        A failure needs no undoing: when the lease ends, the same events are due again, here or at another replica.

        Raises:
            TryLaterError: the outbox or the stream is away.
        """
        events = await self._outbox.claim(limit=BATCH_EVENTS, lease_seconds=LEASE_SECONDS)
        if not events:
            return 0
        await self._stream.publish(events)
        await self._outbox.mark_sent([event.id for event in events])
        log.info("events_published", events=len(events), first=events[0].id)
        return len(events)
