"""What the store has decided to tell, told: from the outbox to the events stream, at least once, always under the same id."""

from __future__ import annotations

from typing import Final

import structlog

from meetai_transcript_ingest.ports import EventsStream, Outbox

BATCH_EVENTS: Final = 100
"""A completed room is one event of some 300 bytes."""
LEASE_SECONDS: Final = 10.0
"""Longer than a publication may take (the Redis client gives up after 5 s), and how late events are after a failed one."""

log = structlog.get_logger()


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
