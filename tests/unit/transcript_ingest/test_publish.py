"""The relay: claimed, published, and only then marked sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from tests.unit.transcript_ingest.fakes import FakeObserver
from tests.waiting import until

from meetai_contracts.events import DomainEvent
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.ports import Unsent
from meetai_transcript_ingest.upkeep import complete_rooms, relay_events, watch_outbox
from meetai_transcript_ingest.usecases.publish import LEASE_SECONDS, CompleteRooms, PublishEvents


def event(number: int) -> DomainEvent:
    return DomainEvent(1, f"e{number}", "meetai/transcript.completed", datetime(2026, 11, 23, tzinfo=UTC), {})


class FakeOutbox:
    """`Outbox` in memory; a lease lasts until `expire`."""

    def __init__(self, *events: DomainEvent) -> None:
        self.pending = {event.id: event for event in events}
        self.leased: set[str] = set()
        self.leases: list[float] = []
        self.quiet_rooms: list[int] = []
        self.asked_for: list[float] = []

    async def complete_quiet_rooms(self, *, quiet_seconds: float, limit: int) -> int:
        self.asked_for.append(quiet_seconds)
        return self.quiet_rooms.pop(0) if self.quiet_rooms else 0

    async def claim(self, *, limit: int, lease_seconds: float) -> tuple[DomainEvent, ...]:
        free = [event for event in self.pending.values() if event.id not in self.leased][:limit]
        self.leased |= {event.id for event in free}
        self.leases.append(lease_seconds)
        return tuple(free)

    async def mark_sent(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            self.pending.pop(event_id, None)

    async def unsent(self) -> Unsent:
        return Unsent(len(self.pending), 1.0)

    def expire(self) -> None:
        self.leased.clear()


class FakeEvents:
    """`EventsStream` in memory. `cut`: it takes what it is given and doesn't say so."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.cut = False

    async def publish(self, events: Sequence[DomainEvent]) -> None:
        self.ids += [event.id for event in events]
        if self.cut:
            raise TryLaterError("no reply")


async def test_event_is_published_once_when_all_goes_well() -> None:
    """And is then no longer due."""
    outbox, stream = FakeOutbox(event(1), event(2)), FakeEvents()
    publish = PublishEvents(outbox, stream)
    assert [await publish(), await publish()] == [2, 0]
    assert stream.ids == ["e1", "e2"]
    assert set(outbox.leases) == {LEASE_SECONDS}


async def test_event_is_published_again_when_no_reply_came() -> None:
    """Under the same id, once the lease has ended; not before."""
    outbox, stream = FakeOutbox(event(1)), FakeEvents()
    publish = PublishEvents(outbox, stream)
    stream.cut = True
    with pytest.raises(TryLaterError):
        await publish()
    stream.cut = False
    assert await publish() == 0
    outbox.expire()
    assert await publish() == 1
    assert stream.ids == ["e1", "e1"]


async def test_relay_goes_on_when_the_stream_was_away() -> None:
    """Counted as postponed; what is published is counted too."""
    outbox, stream, observer = FakeOutbox(event(1)), FakeEvents(), FakeObserver()
    stream.cut = True

    async def sleep(_seconds: float) -> None:
        outbox.expire()
        stream.cut = not observer.postponed_work
        await asyncio.sleep(0.001)

    relay = asyncio.create_task(relay_events(PublishEvents(outbox, stream), observer=observer, sleep=sleep))
    watch = asyncio.create_task(watch_outbox(outbox, observer=observer, sleep=sleep))
    await until(lambda: observer.published_events == 1)
    await until(lambda: observer.unsent == Unsent(0, 1.0))
    relay.cancel()
    watch.cancel()
    assert observer.postponed_work[0] == "publish"


async def test_rooms_are_looked_at_again_at_once_while_there_are_any() -> None:
    """Many that end together aren't a second apart; then it waits."""
    outbox, observer = FakeOutbox(), FakeObserver()
    outbox.quiet_rooms = [50, 7]
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await asyncio.sleep(0.001)

    looking = asyncio.create_task(
        complete_rooms(CompleteRooms(outbox, quiet_seconds=60), observer=observer, sleep=sleep)
    )
    await until(lambda: sleeps)
    looking.cancel()
    assert outbox.asked_for[:3] == [60, 60, 60]
