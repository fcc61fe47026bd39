"""The loop: it looks at once when woken, goes on when the store was away, and ends in good order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures, FakeSink
from tests.unit.webhook_bridge.inbox_suite import outbound, webhook
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox
from tests.waiting import settle

from meetai_contracts.events import DomainEvent
from meetai_servicekit.health import NotReadyError
from meetai_webhook_bridge.domain.delivery import ClaimedEvent
from meetai_webhook_bridge.relay import STALLED_SECONDS, Relay, watch_backlog
from meetai_webhook_bridge.usecases.deliver import BATCH_EVENTS, DeliverDueEvents

WOKEN_SECONDS = 10
"""For a busy machine; polls are much rarer where it is used."""


class HeldSink(FakeSink):
    """Takes an event when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()

    async def send(self, event: DomainEvent, *, traceparent: str | None = None) -> None:
        self.began.set()
        await self.let_go.wait()
        await super().send(event)


class Relaying:
    def __init__(self, sink: FakeSink) -> None:
        self.clock = FakeClock()
        self.inbox = MemoryInbox(self.clock)
        self.sink = sink
        deliver_due = DeliverDueEvents(
            outbox=self.inbox,
            sink=sink,
            measures=FakeMeasures(),
            random=lambda: 0.0,
            monotonic_seconds=self.clock.monotonic_seconds,
        )
        self.relay = Relay(deliver_due, random=lambda: 0.0, monotonic_seconds=self.clock.monotonic_seconds)

    async def accept(self, number: int) -> None:
        await self.inbox.accept(webhook(f"EV_{number}"), outbound(f"event-{number}", sid=f"RM_{number}"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.relay.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_sent(self, count: int, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while len(self.sink.taken) < count:  # noqa: ASYNC110 - a condition with a deadline
                await asyncio.sleep(0)


@pytest.fixture
def rare_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent within `WOKEN_SECONDS` wasn't found by a poll."""
    monkeypatch.setattr("meetai_webhook_bridge.relay.POLL_SECONDS", 60)


@pytest.mark.usefixtures("rare_polls")
async def test_an_event_is_sent_well_before_the_next_poll_when_the_relay_is_woken() -> None:
    """Nobody waits for the poll."""
    relaying = Relaying(FakeSink())
    async with relaying.running():
        for number in range(1, 4):
            await settle()
            await relaying.accept(number)
            relaying.relay.wake()
            await relaying.until_sent(number, seconds=WOKEN_SECONDS)


@pytest.mark.usefixtures("rare_polls")
async def test_an_event_is_sent_well_before_the_next_poll_when_the_relay_is_woken_while_it_looks() -> None:
    """A wake isn't lost when the claim that is going on comes too early to see the event."""
    relaying = Relaying(FakeSink())
    claim_due = relaying.inbox.claim_due

    async def claim_and_be_overtaken(*, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        claimed = await claim_due(limit=limit, lease_seconds=lease_seconds)
        if not relaying.inbox.rows:
            await relaying.accept(1)
            relaying.relay.wake()
        return claimed

    relaying.inbox.claim_due = claim_and_be_overtaken  # type: ignore[method-assign]  # a claim of this kind
    async with relaying.running():
        await relaying.until_sent(1, seconds=WOKEN_SECONDS)


async def test_an_event_is_sent_at_the_next_poll_when_nobody_woke_the_relay() -> None:
    """What another replica left, or what is to be tried again."""
    relaying = Relaying(FakeSink())
    async with relaying.running():
        await settle()
        await relaying.accept(1)
        await relaying.until_sent(1, seconds=WOKEN_SECONDS)


async def test_the_relay_goes_on_when_the_store_was_away() -> None:
    """It doesn't end with an outage."""
    relaying = Relaying(FakeSink())
    await relaying.accept(1)
    relaying.inbox.is_away = True
    async with relaying.running() as task:
        await asyncio.sleep(0)
        assert not task.done()
        relaying.inbox.is_away = False
        await relaying.until_sent(1, seconds=30)


async def test_a_send_that_began_is_finished_when_the_relay_is_stopped() -> None:
    """Rather than cut off and repeated; its outcome is stored."""
    sink = HeldSink()
    relaying = Relaying(sink)
    await relaying.accept(1)
    async with relaying.running() as task:
        await sink.began.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        sink.let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert relaying.inbox.rows["event-1"].state == "sent"


async def test_nobody_waits_for_a_send_that_hangs() -> None:
    """It keeps its place, and the others are sent meanwhile, also those that come later."""
    sink = FakeSink()
    let_go = asyncio.Event()
    send = sink.send

    async def send_or_hang(event: DomainEvent, *, traceparent: str | None = None) -> None:
        if event.id == "event-0":
            await let_go.wait()
        await send(event)

    sink.send = send_or_hang  # type: ignore[method-assign]  # a sink of this kind
    relaying = Relaying(sink)
    for number in range(3):
        await relaying.accept(number)
    async with relaying.running():
        await relaying.until_sent(2, seconds=10)
        for number in range(3, 3 * BATCH_EVENTS):
            await relaying.accept(number)
        relaying.relay.wake()
        await relaying.until_sent(3 * BATCH_EVENTS - 1, seconds=10)
        assert relaying.inbox.rows["event-0"].state == "pending"
        let_go.set()
        await relaying.until_sent(3 * BATCH_EVENTS, seconds=10)


async def test_no_more_is_claimed_than_can_be_sent_when_all_hang() -> None:
    """A lease isn't taken for what would only wait."""
    sink = HeldSink()
    relaying = Relaying(sink)
    for number in range(2 * BATCH_EVENTS):
        await relaying.accept(number)
    async with relaying.running():
        await sink.began.wait()
        await settle()
        assert sum(row.attempts for row in relaying.inbox.rows.values()) == BATCH_EVENTS
        sink.let_go.set()
        await relaying.until_sent(2 * BATCH_EVENTS, seconds=10)


async def test_the_relay_ends_when_a_delivery_fails_in_a_way_that_nobody_thought_of() -> None:
    """Rather than going on half dead: the process ends with it, and another begins."""
    sink = FakeSink()

    async def fail(event: DomainEvent, *, traceparent: str | None = None) -> None:
        raise ZeroDivisionError

    sink.send = fail  # type: ignore[method-assign]  # a sink of this kind
    relaying = Relaying(sink)
    await relaying.accept(1)
    async with relaying.running() as task:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(task, 10)


async def test_the_relay_isnt_ready_when_it_hasnt_come_round() -> None:
    """Before it runs, and when a turn takes far too long."""
    relaying = Relaying(FakeSink())
    began, let_go = asyncio.Event(), asyncio.Event()

    async def hang(*, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        began.set()
        await let_go.wait()
        return []

    relaying.inbox.claim_due = hang  # type: ignore[method-assign]  # a claim of this kind
    with pytest.raises(NotReadyError):
        await relaying.relay.check_running()
    async with relaying.running():
        await began.wait()
        await relaying.relay.check_running()
        relaying.clock.advance(STALLED_SECONDS + 1)
        with pytest.raises(NotReadyError):
            await relaying.relay.check_running()
        let_go.set()


async def test_the_backlog_is_measured_again_when_the_store_was_away() -> None:
    """The watch doesn't end with an outage."""
    relaying, measures = Relaying(FakeSink()), FakeMeasures()
    relaying.inbox.is_away = True
    waits = 0

    async def sleep(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        relaying.inbox.is_away = False
        if waits == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await watch_backlog(relaying.inbox, measures, sleep=sleep)
    assert [backlog.pending for backlog in measures.backlogs] == [0, 0]
