"""The loop of one shard, over fakes and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

import pytest
from tests.unit.servicekit.fake_streams import FakeLog, FakeStream
from tests.unit.transcript_ingest.consuming import Rig, stored_seqs
from tests.unit.transcript_ingest.fakes import FakeStore
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import until

from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import Patience
from meetai_servicekit.streams import consumer as consumer_module
from meetai_servicekit.streams.consumer import STALLED_SECONDS
from meetai_transcript_ingest.upkeep import keep_partitions_ahead


@pytest.fixture
def rig() -> Rig:
    return Rig(FakeLog(), FakeStore())


async def test_two_sets_are_held_and_no_more_when_the_store_is_away() -> None:
    """One being written and one read ahead: memory doesn't grow with the outage. Then all drains."""
    rig = Rig(FakeLog(), FakeStore(), count=2)
    producer = Producer()
    rig.store.away = True
    async with rig.running():
        for _ in range(20):
            rig.log.put(producer.say(1))
        await until(lambda: len(rig.log.pending) == 4)
        await until(lambda: len(rig.observer.postponed_work) > 5)
        assert len(rig.log.pending) == 4
        rig.store.away = False
        await until(lambda: len(rig.log.acknowledged) == 20)
    assert await stored_seqs(rig.store) == list(range(1, 21))


async def test_claim_is_kept_when_the_store_is_away_for_a_minute() -> None:
    """Another consumer that looks for abandoned entries all the while takes none of them."""
    rig = Rig(FakeLog(), FakeStore())
    other = FakeStream(rig.log, "other")
    rig.store.away = True
    async with rig.running():
        rig.log.put(Producer().say(3))
        await until(lambda: rig.log.pending)
        for _ in range(60):
            await rig.pass_time(1)
            assert (await other.reclaim(())).arrivals == ()
        assert {consumer for consumer, _ in rig.log.pending.values()} == {"me"}
        rig.store.away = False


async def test_entries_of_a_dead_consumer_are_stored_when_it_has_been_quiet(rig: Rig) -> None:
    """They are taken over after the idle time, and counted."""
    dead = FakeStream(rig.log, "dead")
    await dead.join()
    rig.log.put(Producer().say(3))
    await dead.read()
    async with rig.running():
        await rig.pass_time(10)
        assert rig.log.acknowledged == []
        await rig.pass_time(12)
        await until(lambda: rig.log.acknowledged)
    assert await stored_seqs(rig.store) == [1, 2, 3]
    assert rig.observer.reclaimed_entries == 1


async def test_loss_is_counted_when_a_pending_entry_has_left_the_stream(rig: Rig) -> None:
    """It is not acknowledged as if it had been stored."""
    dead = FakeStream(rig.log, "dead")
    await dead.join()
    entry_id = rig.log.put(Producer().say(3))
    await dead.read()
    del rig.log.entries[entry_id]
    async with rig.running():
        await rig.pass_time(21)
        await until(lambda: rig.observer.lost_entries == 1)
    assert rig.log.acknowledged == []


async def test_group_is_made_again_when_it_is_gone(rig: Rig) -> None:
    """All of the stream is read again, and nothing is stored twice."""
    producer = Producer()
    async with rig.running():
        rig.log.put(producer.say(3))
        await until(lambda: rig.log.acknowledged)
        rig.log.drop_group()
        rig.log.put(producer.say(1))
        await until(lambda: len(rig.log.acknowledged) == 3)
    assert await stored_seqs(rig.store) == [1, 2, 3, 4]
    assert sum(outcome.duplicates for _, outcome in rig.observer.committed_sets) == 3


async def test_loop_goes_on_when_the_stream_was_away(rig: Rig) -> None:
    """Reading is tried again until the server answers."""
    rig.log.away = True
    async with rig.running():
        await until(lambda: len(rig.observer.postponed_work) > 5)
        rig.log.away = False
        rig.log.put(Producer().say(2))
        await until(lambda: rig.log.acknowledged)
        await rig.pass_time(6)
        await until(lambda: rig.observer.seen)


async def test_set_in_flight_is_stored_and_acknowledged_when_the_loop_is_cancelled(rig: Rig) -> None:
    """SIGTERM comes while the store is still at it; nothing is left for others to do."""
    rig.store.away = True
    async with rig.running() as tasks:
        rig.log.put(Producer().say(3))
        await until(lambda: rig.log.pending)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0.01)
        rig.store.away = False
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(rig.log.acknowledged) == 1
    assert await stored_seqs(rig.store) == [1, 2, 3]


async def test_set_is_left_pending_when_the_store_is_away_at_shutdown(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is bounded; another consumer will take it over."""
    monkeypatch.setattr(consumer_module, "DRAIN_SECONDS", 0.02)
    rig.store.away = True
    async with rig.running():
        rig.log.put(Producer().say(3))
        await until(lambda: rig.log.pending)
    assert len(rig.log.pending) == 1
    assert rig.log.acknowledged == []


async def test_loop_is_stalled_when_a_set_can_not_be_stored(rig: Rig) -> None:
    """Readiness says so while it lasts, and no longer."""
    rig.store.away = True
    async with rig.running():
        rig.log.put(Producer().say(1))
        rig.log.put(Producer("other").say(1))
        await until(lambda: rig.log.pending)
        await rig.pass_time(STALLED_SECONDS + 2)
        assert rig.consumer.stalled
        rig.store.away = False
        await until(lambda: not rig.consumer.stalled)


@pytest.mark.parametrize("away_at_first", [False, True])
async def test_partitions_are_there_when_a_day_begins(away_at_first: bool) -> None:
    """From yesterday to a week ahead, looked at again every hour, also when the store was away at the start."""
    rig = Rig(FakeLog(), FakeStore())
    rig.store.away = away_at_first
    days = [date(2026, 12, 31), date(2027, 1, 1)]
    today: Callable[[], date] = lambda: days[0]  # noqa: E731 - the test moves it
    patience = Patience(Backoff(0.2, 3.0), sleep=lambda _: asyncio.sleep(0), random=lambda: 0.5, observer=rig.observer)
    keeping: Awaitable[None] = keep_partitions_ahead(rig.store, patience=patience, today=today, sleep=rig.sleep)
    task = asyncio.ensure_future(keeping)
    await asyncio.sleep(0.005)
    rig.store.away = False
    await until(lambda: len(rig.store.partitions) == 9)
    assert (min(rig.store.partitions), max(rig.store.partitions)) == (date(2026, 12, 30), date(2027, 1, 7))
    del days[0]
    await rig.pass_time(3_600 // 10)
    assert len(rig.store.partitions) == 9
    rig.now += 3_600
    await rig.pass_time(1)
    await until(lambda: max(rig.store.partitions) == date(2027, 1, 8))
    task.cancel()
