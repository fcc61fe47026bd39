"""Delivery over fakes: a stream that fails, hangs, or lands what it says it hasn't, and a spool that comes and goes."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.agent.fakes import MemoryDisk, MemorySpool, MemoryStream, RecordingMeter, VirtualClock
from tests.unit.agent.samples import covered, decoded, line, lines_of, new_producer
from tests.waiting import until

from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.usecases import deliver
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.replay import Replay


class Bench:
    """A delivery whose retries never wait: its clock runs ahead of them."""

    def __init__(self) -> None:
        self.producer = new_producer()
        self.disk = MemoryDisk()
        self.spool = MemorySpool(self.disk, self.producer)
        self.stream = MemoryStream()
        self.meter = RecordingMeter()
        self.clock = FastClock()
        self.buffer = TranscriptBuffer(self.producer, random=lambda: 0.0)
        self.delivery = Delivery(
            self.producer, self.buffer, stream=self.stream, kept=self.spool, clock=self.clock, meter=self.meter
        )
        self.seq = 0

    def say(self, count: int = 1) -> None:
        for _ in range(count):
            self.seq += 1
            one = line(self.producer, self.seq)
            self.delivery.add(one, self.spool.append(one))

    def stored(self) -> list[int]:
        return [one.seq for one in lines_of(decoded(self.stream.batches()))]


class FastClock(VirtualClock):
    """A clock by which every question comes ten seconds after the last, so that nothing waits for real."""

    def monotonic(self) -> float:
        self.now += 10.0
        return self.now


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def finish(bench: Bench) -> None:
    bench.delivery.close()
    async with asyncio.timeout(10):
        await bench.delivery.run()


async def test_everything_is_stored_in_order_when_the_stream_is_there(bench: Bench) -> None:
    """Open, lines, close; then the spool is forgotten."""
    bench.say(25)
    await finish(bench)
    assert bench.stored() == list(range(1, 26))
    kinds = [batch.kind for batch in decoded(bench.stream.batches())]
    assert (kinds[0], kinds[-1]) == ("open", "close")
    assert bench.disk.spools == []


async def test_everything_is_stored_once_when_the_stream_was_away(bench: Bench) -> None:
    """What fails is tried again with the same bytes."""
    bench.stream.failing = True
    running = asyncio.create_task(bench.delivery.run())
    bench.say(30)
    await until(lambda: bench.meter.counts["attempt_failed"] >= 4)
    assert len(set(bench.stream.attempts)) == 1
    bench.stream.failing = False
    bench.delivery.close()
    async with asyncio.timeout(10):
        await running
    assert bench.stored() == list(range(1, 31))


async def test_an_entry_is_repeated_byte_for_byte_when_it_landed_unconfirmed(bench: Bench) -> None:
    """A store that keeps each id once then has each line once."""
    bench.stream.cut_replies = 2
    bench.say(12)
    await finish(bench)
    entries = bench.stream.batches()
    assert entries[0] == entries[1] == entries[2]
    assert sorted(set(bench.stored())) == list(range(1, 13))


async def test_an_attempt_is_given_up_when_the_stream_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where an adapter breaks its promise of being bounded in time."""
    monkeypatch.setattr(deliver, "ATTEMPT_SECONDS", 0.02)
    bench.stream.held = asyncio.Event()
    bench.say(10)
    running = asyncio.create_task(bench.delivery.run())
    await until(lambda: bench.meter.counts["attempt_failed"] >= 2)
    bench.stream.held = None
    bench.delivery.close()
    async with asyncio.timeout(10):
        await running
    assert bench.stored() == list(range(1, 11))


async def test_delivery_goes_on_when_the_stream_raises_what_it_should_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver's surprise is a failed attempt, not the end of the job's delivery."""
    landed = bench.stream.append
    surprises = iter([RuntimeError("driver"), ValueError("driver"), StreamUnavailableError("x")])

    async def append(meeting_id: str, batch: bytes) -> None:
        if (surprise := next(surprises, None)) is not None:
            raise surprise
        await landed(meeting_id, batch)

    monkeypatch.setattr(bench.stream, "append", append)
    bench.say(3)
    await finish(bench)
    assert bench.stored() == [1, 2, 3]
    assert bench.meter.counts["attempt_failed"] == 3


async def test_lines_come_back_from_the_spool_when_memory_was_full(bench: Bench) -> None:
    """3,000 lines said before the stream was there: 2,000 in memory, the others on disk."""
    bench.say(3000)
    assert bench.buffer.ram_lines == 2000
    await finish(bench)
    assert bench.stored() == list(range(1, 3001))


async def test_a_loss_is_counted_and_named_when_neither_memory_nor_spool_had_room(bench: Bench) -> None:
    """A gap takes the place of what was lost."""
    bench.spool.away = True
    bench.say(2003)
    assert bench.meter.counts["line_lost"] == 3
    await finish(bench)
    batches = decoded(bench.stream.batches())
    assert covered(batches) == list(range(1, 2004))
    assert [(batch.first_seq, batch.last_seq) for batch in batches if batch.kind == "gap"] == [(2001, 2003)]


async def test_a_dead_jobs_spool_is_delivered_when_the_worker_sweeps(bench: Bench) -> None:
    """Everything it holds, then the producer's end; a number that it hasn't the line of is named lost."""
    bench.say(8)
    bench.spool.acknowledge(3)
    bench.spool.away = True
    bench.say(2)
    bench.spool.release()
    replay = Replay(bench.disk, stream=bench.stream, clock=bench.clock, meter=bench.meter, random=lambda: 0.0)
    assert await replay.sweep() == 1
    batches = decoded(bench.stream.batches())
    assert [batch.kind for batch in batches] == ["open", "lines", "gap", "close"]
    assert covered(batches) == [4, 5, 6, 7, 8, 9, 10]
    assert batches[-1].high_water == 10
    assert bench.disk.spools == []


async def test_a_spool_stays_when_its_replay_is_cancelled(bench: Bench) -> None:
    """The next sweep, or the next worker, takes it again."""
    bench.say(8)
    bench.spool.release()
    bench.stream.held = asyncio.Event()
    replay = Replay(bench.disk, stream=bench.stream, clock=bench.clock, meter=bench.meter, random=lambda: 0.0)
    sweeping = asyncio.create_task(replay.sweep())
    await until(lambda: len(bench.stream.attempts) > 0)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    bench.stream.held = None
    assert await replay.sweep() == 1
    assert bench.stored() == list(range(1, 9))


async def test_the_last_look_waits_when_a_sweep_is_under_way(bench: Bench) -> None:
    """A worker that ends goes on with what it had begun."""
    bench.say(8)
    bench.spool.release()
    bench.stream.held = asyncio.Event()
    replay = Replay(bench.disk, stream=bench.stream, clock=bench.clock, meter=bench.meter, random=lambda: 0.0)
    under_way = asyncio.create_task(replay.sweep())
    await until(lambda: len(bench.stream.attempts) > 0)
    last = asyncio.create_task(replay.sweep())
    await asyncio.wait({last}, timeout=0.2)
    assert not last.done()
    bench.stream.held.set()
    assert (await under_way, await last) == (1, 0)
    assert bench.disk.spools == []


async def test_other_spools_are_delivered_when_one_cannot_be(bench: Bench) -> None:
    """A producer that the contract refuses is set aside; it ends neither the sweep nor the worker."""
    bench.say(1)
    bench.spool.release()
    bad = MemorySpool(bench.disk, new_producer(meeting_id="not\x00an id"))
    bad.append(line(bad.producer, 1))
    bad.release()
    replay = Replay(bench.disk, stream=bench.stream, clock=bench.clock, meter=bench.meter, random=lambda: 0.0)
    await replay.sweep()
    assert bench.stored() == [1]
    assert bench.disk.aside == [bad]
    assert await replay.sweep() == 0
