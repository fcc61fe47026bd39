"""Delivering: an event is sent once it was taken, tried again until then, and given up at last."""

from __future__ import annotations

from collections import deque

import pytest
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures, FakeSink
from tests.unit.webhook_bridge.inbox_suite import outbound, webhook
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox

from meetai_contracts.events import DomainEvent
from meetai_webhook_bridge.domain.delivery import MAX_ATTEMPTS
from meetai_webhook_bridge.domain.errors import StoreAwayError
from meetai_webhook_bridge.usecases.deliver import BATCH_EVENTS, LEASE_SECONDS, DeliverDueEvents

WELL_OVER_AN_HOUR_SECONDS = 3601.0
ID = "event-1"


class Delivering:
    """The use case over fakes, with one event waiting."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inbox = MemoryInbox(self.clock)
        self.sink = FakeSink()
        self.measures = FakeMeasures()
        self.deliver = DeliverDueEvents(
            outbox=self.inbox,
            sink=self.sink,
            measures=self.measures,
            random=lambda: 0.5,
            monotonic_seconds=self.clock.monotonic_seconds,
        ).deliver

    @property
    def sent_ids(self) -> list[str]:
        return [event.id for event in self.sink.taken]


@pytest.fixture
async def delivering() -> Delivering:
    state = Delivering()
    await state.inbox.accept(webhook("EV_1"), outbound(ID))
    return state


async def test_an_event_is_sent_when_it_is_due(delivering: Delivering) -> None:
    """Once; then there is nothing to do."""
    assert await delivering.deliver() == 1
    assert await delivering.deliver() == 0
    assert delivering.sent_ids == [ID]
    assert delivering.inbox.rows[ID].state == "sent"
    assert delivering.measures.attempts == ["sent"]


async def test_an_event_is_tried_again_after_its_wait_when_it_wasnt_taken(delivering: Delivering) -> None:
    """Not before; and the reason is kept until it is sent."""
    delivering.sink.failures = deque(["no_id_returned"])
    assert await delivering.deliver() == 1
    row = delivering.inbox.rows[ID]
    assert (row.state, row.last_error) == ("pending", "no_id_returned")
    assert await delivering.deliver() == 0
    delivering.clock.advance(1)
    assert await delivering.deliver() == 1
    assert (row.state, row.last_error, row.attempts) == ("sent", None, 2)
    assert delivering.measures.attempts == ["failed", "sent"]


async def test_an_event_is_dead_when_its_last_attempt_failed(delivering: Delivering) -> None:
    """After days; it isn't tried any more, and the rest goes on."""
    delivering.sink.failures = deque(["timeout"] * MAX_ATTEMPTS)
    for _ in range(MAX_ATTEMPTS):
        assert await delivering.deliver() == 1
        delivering.clock.advance(WELL_OVER_AN_HOUR_SECONDS)
    assert delivering.inbox.rows[ID].state == "dead"
    assert delivering.measures.attempts == ["failed"] * (MAX_ATTEMPTS - 1) + ["dead"]
    await delivering.inbox.accept(webhook("EV_2"), outbound("event-2"))
    assert await delivering.deliver() == 1
    assert delivering.sent_ids == ["event-2"]


async def test_an_event_is_sent_again_under_its_id_when_the_outcome_couldnt_be_stored(delivering: Delivering) -> None:
    """As after a crash between send and mark: its lease ends, and Inngest sees the same id again."""

    async def send_and_lose_the_store(event: DomainEvent, *, traceparent: str | None = None) -> None:
        delivering.sink.taken.append(event)
        delivering.inbox.is_away = True

    delivering.sink.send = send_and_lose_the_store  # type: ignore[method-assign]  # one send of this kind
    assert await delivering.deliver() == 1
    del delivering.sink.send
    delivering.inbox.is_away = False
    assert await delivering.deliver() == 0
    delivering.clock.advance(LEASE_SECONDS)
    assert await delivering.deliver() == 1
    assert delivering.sent_ids == [ID, ID]
    assert delivering.inbox.rows[ID].state == "sent"


async def test_one_failure_costs_nobody_else_when_many_events_are_due(delivering: Delivering) -> None:
    """Rooms don't wait for each other."""
    for number in range(2, BATCH_EVENTS + 1):
        await delivering.inbox.accept(webhook(f"EV_{number}"), outbound(f"event-{number}", sid=f"RM_{number}"))
    delivering.sink.failures = deque(["timeout"])
    assert await delivering.deliver() == BATCH_EVENTS
    assert len(set(delivering.sent_ids)) == BATCH_EVENTS - 1


async def test_the_caller_hears_of_it_when_nothing_can_be_claimed(delivering: Delivering) -> None:
    """The relay then waits longer."""
    delivering.inbox.is_away = True
    with pytest.raises(StoreAwayError):
        await delivering.deliver()


async def test_how_long_an_event_was_on_its_way_counts_from_when_it_was_asked_for(delivering: Delivering) -> None:
    """From the webhook's commit, failed attempts included; from the replay when it is replayed."""
    await delivering.inbox.accept(webhook("EV_1"), outbound("event-1"))
    delivering.sink.failures.append("timeout")
    await delivering.deliver()
    delivering.clock.advance(10)
    await delivering.deliver()
    assert delivering.measures.deliveries == [("webhook", 10.0)]
    delivering.clock.advance(3600)
    await delivering.inbox.replay("event-1")
    delivering.clock.advance(2)
    assert (await delivering.inbox.backlog()).oldest_pending_seconds == 2.0
    await delivering.deliver()
    assert delivering.measures.deliveries[1:] == [("webhook", 2.0)]
