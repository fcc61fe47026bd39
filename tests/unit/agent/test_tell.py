"""Telling what was decided: over a stream that fails or lands what it says it hasn't, and after the job's death."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from tests.unit.agent.approval_fakes import MemoryEvents, MemoryOutbox, MemoryOutboxes, RecordingDecisionMeter
from tests.unit.agent.fakes import VirtualClock
from tests.waiting import until

from meetai_agent.usecases import tell
from meetai_agent.usecases.retell import Retelling
from meetai_agent.usecases.tell import Telling
from meetai_contracts.codec import encode_json
from meetai_contracts.events import DomainEvent

START = dt.datetime.fromtimestamp(VirtualClock().unix_ms() / 1000, dt.UTC)


def event(number: int, *, at: dt.datetime = START) -> DomainEvent:
    return DomainEvent(1, f"id-{number}", "meetai/purchase.approved", at, {"number": number})


class Bench:
    def __init__(self) -> None:
        self.disk = MemoryOutboxes()
        self.stream = MemoryEvents()
        self.meter = RecordingDecisionMeter()
        self.clock = VirtualClock()
        self.outbox = MemoryOutbox(self.disk)
        self.telling = Telling(self.outbox, stream=self.stream, meter=self.meter, random=lambda: 0.0)
        self.telling.start()
        self.retelling = Retelling(self.disk, stream=self.stream, clock=self.clock, meter=self.meter)

    def ids(self) -> list[str]:
        return [event_id for _, event_id in self.stream.told]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.stream.failing = False
    await bench.telling.close()


async def test_the_same_bytes_are_sent_until_they_are_confirmed(bench: Bench) -> None:
    """In order, whether or not an attempt landed; then the disk is clear."""
    bench.stream.failing = True
    for number in range(3):
        bench.telling.tell(UUID(int=number), event(number))
    await until(lambda: len(bench.stream.attempts) >= 3)
    assert len(set(bench.stream.attempts)) == 1
    bench.stream.failing, bench.stream.cut_replies = False, 1
    await until(lambda: not bench.disk.kept)
    assert bench.ids() == ["id-0", "id-0", "id-1", "id-2"]
    assert bench.meter.counts["event_told"] == 3


async def test_nothing_is_sent_when_it_was_only_promised(bench: Bench) -> None:
    """What is told under the same key takes its place."""
    bench.telling.promise(UUID(int=1), event(1))
    bench.telling.tell(UUID(int=2), event(2))
    await until(lambda: list(bench.disk.kept) == [UUID(int=1)])
    bench.telling.tell(UUID(int=1), event(3))
    await until(lambda: not bench.disk.kept)
    assert bench.ids() == ["id-2", "id-3"]


async def test_what_was_promised_is_not_told_when_the_disk_does_not_take_what_became_of_it(bench: Bench) -> None:
    """The job is killed before the stream has the decision: nothing is told, and not the contrary."""
    bench.telling.promise(UUID(int=1), event(1))
    bench.stream.failing = bench.outbox.away = True
    bench.telling.tell(UUID(int=1), event(2))
    assert not bench.disk.kept


async def test_it_is_told_when_the_disk_is_away(bench: Bench) -> None:
    """From memory, and counted."""
    bench.outbox.away = True
    bench.telling.tell(UUID(int=1), event(1))
    await until(lambda: bench.ids() == ["id-1"])
    assert bench.meter.counts["outbox_failed"] == 1


async def test_the_worker_tells_what_a_job_could_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends in its time, and leaves it; the worker tries at every sweep, and no other job's events are touched."""
    monkeypatch.setattr(tell, "FINAL_SECONDS", 0.05)
    bench.stream.failing = True
    bench.telling.tell(UUID(int=1), event(1))
    bench.telling.tell(UUID(int=2), event(2))
    await bench.telling.close()
    living = MemoryOutbox(bench.disk)
    living.keep(UUID(int=3), encode_json(event(3)))
    assert await bench.retelling.sweep() == 0
    bench.stream.failing = False
    assert await bench.retelling.sweep() == 2
    assert bench.ids() == ["id-1", "id-2"]
    assert list(bench.disk.kept) == [UUID(int=3)]


async def test_the_last_look_waits_when_a_sweep_is_under_way(bench: Bench) -> None:
    """A worker that ends goes on with what it had begun."""
    bench.outbox.keep(UUID(int=1), encode_json(event(1)))
    bench.outbox.release()
    bench.stream.held = asyncio.Event()
    under_way = asyncio.create_task(bench.retelling.sweep())
    await until(lambda: len(bench.stream.attempts) > 0)
    last = asyncio.create_task(bench.retelling.sweep())
    await asyncio.wait({last}, timeout=0.2)
    assert not last.done()
    bench.stream.held.set()
    assert (await under_way, await last) == (1, 0)
    assert bench.ids() == ["id-1"]


async def test_a_promise_is_told_in_its_time_when_its_job_was_killed(bench: Bench) -> None:
    """Not before: as far as anybody knows, the proposal is open until then."""
    bench.telling.promise(UUID(int=1), event(1, at=START + dt.timedelta(seconds=60)))
    bench.outbox.release()  # as the end of its process does
    assert await bench.retelling.sweep() == 0
    bench.clock.now = 60
    assert await bench.retelling.sweep() == 1
    assert bench.ids() == ["id-1"]
    assert not bench.disk.kept


@pytest.mark.parametrize("rubbish", [b"", b"{", b'{"v":2}', b"\xff" * 300])
async def test_what_cannot_be_read_is_set_aside_and_the_others_are_told(bench: Bench, rubbish: bytes) -> None:
    """A person may look at it."""
    bench.outbox.keep(UUID(int=1), rubbish)
    bench.outbox.keep(UUID(int=2), encode_json(event(2)))
    bench.outbox.release()
    assert await bench.retelling.sweep() == 1
    assert bench.disk.aside == [rubbish]
    assert not bench.disk.kept
