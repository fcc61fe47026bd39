"""What is read while a write goes on, and what is acknowledged while the next goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.unit.servicekit.fake_streams import FakeLog, FakeStream
from tests.unit.transcript_ingest.consuming import Rig, stored_seqs
from tests.unit.transcript_ingest.fakes import FakeStore
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import until

from meetai_servicekit.streams import consumer as consumer_module
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel
from meetai_transcript_ingest.ports import Committed


async def test_all_that_came_meanwhile_is_one_set_when_the_stream_was_empty() -> None:
    """It is read while the write goes on, and waits for that one write alone."""
    rig = Rig(FakeLog(), FakeStore())
    producer = Producer()
    rig.store.away = True
    async with rig.running():
        rig.log.put(producer.say(1))
        await until(lambda: rig.observer.postponed_work)
        for count in range(2, 9):
            rig.log.put(producer.say(1))
            await until(lambda count=count: len(rig.log.pending) == count)  # type: ignore[misc]  # mypy and defaults
        assert rig.store.commits == 0
        rig.store.away = False
        await until(lambda: len(rig.log.acknowledged) == 8)
    assert [entries for entries, _ in rig.observer.committed_sets] == [1, 7]


async def test_reading_ahead_is_bounded_when_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is away: what was being written, and one set more."""
    monkeypatch.setattr(consumer_module, "AHEAD_ENTRIES", 3)
    rig = Rig(FakeLog(), FakeStore())
    producer = Producer()
    rig.store.away = True
    async with rig.running():
        for count in range(1, 5):
            rig.log.put(producer.say(1))
            await until(lambda count=count: len(rig.log.pending) == count)  # type: ignore[misc]  # mypy and defaults
        for _ in range(5):
            rig.log.put(producer.say(1))
        postponed = len(rig.observer.postponed_work)
        await until(lambda: len(rig.observer.postponed_work) > postponed + 5)
        assert len(rig.log.pending) == 4
        rig.store.away = False
        await until(lambda: len(rig.log.acknowledged) == 9)
    assert await stored_seqs(rig.store) == list(range(1, 10))


class GatedStore(FakeStore):
    """Each commit waits for its turn, or where it is to answer even then, until it is cancelled."""

    def __init__(self, *, answers_when_cancelled: bool = False) -> None:
        super().__init__()
        self.turns = asyncio.Semaphore(0)
        self.begun = 0
        self._answers_when_cancelled = answers_when_cancelled

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        self.begun += 1
        try:
            await self.turns.acquire()
        except asyncio.CancelledError:
            if not self._answers_when_cancelled:
                raise
        return await super().commit(parcels, letters)


async def another_stores_sets(count: int) -> None:
    """Something to wait for where nothing may happen: whoever could have gone on has had as many turns."""
    other = Rig(FakeLog("other"), FakeStore())
    producer = Producer("other")
    async with other.running():
        for stored in range(1, count + 1):
            other.log.put(producer.say(1))
            await until(lambda stored=stored: other.store.commits == stored)  # type: ignore[misc]  # mypy and defaults


async def test_entries_of_a_dead_consumer_are_stored_when_there_is_always_something_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading ahead of every write doesn't keep the loop from looking for them."""
    monkeypatch.setattr(consumer_module, "AHEAD_SECONDS", 0.0001)
    store = GatedStore()
    rig = Rig(FakeLog(), store)
    producer, other = Producer(), Producer("other")
    dead = FakeStream(rig.log, "dead")
    await dead.join()
    left = rig.log.put(other.say(1))
    await dead.read()
    async with rig.running():
        first = rig.log.put(producer.say(1))
        await until(lambda: first in rig.log.pending)
        for turn in range(40):
            rig.log.put(producer.say(1))
            await rig.pass_time(3)
            store.turns.release()
            await until(lambda turn=turn: store.commits > turn)  # type: ignore[misc]  # mypy and defaults
        assert left in rig.log.acknowledged
        for _ in range(10):
            store.turns.release()


async def test_next_set_is_stored_when_the_one_before_is_still_being_acknowledged() -> None:
    """The round trip to Redis is off the way to the next COMMIT; yet while it isn't answered, one set more is stored, not all."""
    rig = Rig(FakeLog(), FakeStore())
    answered = asyncio.Event()
    acknowledge = rig.stream.acknowledge

    async def acknowledge_later(entry_ids: Sequence[str]) -> None:
        await answered.wait()
        await acknowledge(entry_ids)

    rig.stream.acknowledge = acknowledge_later  # type: ignore[method-assign]  # the stream's own, later
    producer = Producer()
    async with rig.running():
        for stored in (1, 2):
            rig.log.put(producer.say(1))
            await until(lambda stored=stored: rig.store.commits == stored)  # type: ignore[misc]  # mypy and defaults
        assert rig.log.acknowledged == []
        for _ in range(5):
            rig.log.put(producer.say(1))
        await until(lambda: len(rig.log.pending) == 7)
        await another_stores_sets(5)
        assert rig.store.commits == 2
        assert {consumer for consumer, _ in rig.log.pending.values()} == {"me"}
        answered.set()
        await until(lambda: len(rig.log.acknowledged) == 7)
    assert await stored_seqs(rig.store) == list(range(1, 8))


async def test_consumer_ends_when_an_acknowledgement_fails_and_nothing_comes() -> None:
    """With what came of it, while a read waits: the process begins anew, and whoever is there takes over what is pending."""
    rig = Rig(FakeLog(), FakeStore(), block_seconds=3_600)

    async def acknowledge_never(entry_ids: Sequence[str]) -> None:
        raise RuntimeError(f"{len(entry_ids)} not acknowledged")

    rig.stream.acknowledge = acknowledge_never  # type: ignore[method-assign]  # as a server that refuses
    async with rig.running() as tasks:
        entry_id = rig.log.put(Producer().say(1))
        await until(tasks[0].done)
        with pytest.raises(RuntimeError, match="1 not acknowledged"):
            await tasks[0]
    assert rig.store.commits == 1
    assert list(rig.log.pending) == [entry_id]


async def test_consumer_ends_when_an_acknowledgement_fails_during_the_next_write() -> None:
    """The write, which may take for as long as the store is away, is not waited for."""
    store = GatedStore()
    rig = Rig(FakeLog(), store)
    answered = asyncio.Event()

    async def refuse_later(entry_ids: Sequence[str]) -> None:
        await answered.wait()
        raise RuntimeError(f"{len(entry_ids)} not acknowledged")

    rig.stream.acknowledge = refuse_later  # type: ignore[method-assign]  # as a server that refuses
    producer = Producer()
    async with rig.running() as tasks:
        store.turns.release()
        for begun in (1, 2):
            rig.log.put(producer.say(1))
            await until(lambda begun=begun: store.begun == begun)  # type: ignore[misc]  # mypy and defaults
        answered.set()
        await until(tasks[0].done)
        with pytest.raises(RuntimeError, match="1 not acknowledged"):
            await tasks[0]
    assert store.commits == 1
    assert len(rig.log.pending) == 2


async def test_set_is_acknowledged_when_its_commit_is_answered_as_the_time_to_stop_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A driver may answer though it was cancelled; nobody waits for the write any longer."""
    monkeypatch.setattr(consumer_module, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(consumer_module, "AHEAD_ENTRIES", 0)  # the write itself is waited for, at once
    store = GatedStore(answers_when_cancelled=True)
    rig = Rig(FakeLog(), store)
    async with rig.running():
        entry_id = rig.log.put(Producer().say(1))
        await until(lambda: store.begun == 1)
    assert rig.log.acknowledged == [entry_id]
