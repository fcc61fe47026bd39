"""Durable first, acknowledged after; what is bad stands alone in a dead letter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.servicekit.fake_streams import FakeLog, FakeStream
from tests.unit.transcript_ingest.fakes import FakeObserver, FakeStore
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import until

from meetai_contracts.transcript import decode_batch, encode_batch
from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import Patience
from meetai_transcript_ingest.domain.errors import RefusedError, TooSlowError, TryLaterError, UnstorableError
from meetai_transcript_ingest.domain.intake import Delivery, unpack_all
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel
from meetai_transcript_ingest.ports import Committed
from meetai_transcript_ingest.usecases import ProveTranscript, ReadTranscript, StoreEntries

NOW_SECONDS = 1_800_000_000.0


class Desk:
    """The use cases over fakes."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.observer = FakeObserver()
        self.log = FakeLog()
        self.stream = FakeStream(self.log, "me")
        self.waits: list[float] = []
        patience = Patience(Backoff(0.2, 3.0), sleep=self._sleep, random=lambda: 0.5, observer=self.observer)
        self.store_entries = StoreEntries(
            self.store,
            patience=patience,
            observer=self.observer,
            monotonic=lambda: 0.0,
            unix_seconds=lambda: NOW_SECONDS,
        )
        self.read = ReadTranscript(self.store)
        self.prove = ProveTranscript(self.store)

    async def arrive(self, *entries: bytes) -> Delivery:
        await self.stream.join()
        for entry in entries:
            self.log.put(entry)
        return unpack_all(await self.stream.read())

    async def store_all(self, *entries: bytes) -> None:
        await self.store_entries(self.stream, await self.arrive(*entries))

    async def seqs(self, meeting_id: str = "standup") -> list[int]:
        return [line.seq for line in (await self.read(meeting_id, cursor=None, limit=1000)).lines]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0.001)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sets(st.integers(1, 40)))
def test_every_good_line_is_stored_when_any_others_are_refused(sizes: list[int], bad: set[int]) -> None:
    """Each bad one has a letter of its own, all entries are acknowledged, and the integrity names the dead."""

    async def run() -> None:
        desk = Desk(FakeStore(refuses=lambda line: line.seq in bad))
        producer = Producer()
        await desk.store_all(*[producer.say(size) for size in sizes], producer.close())
        everything = {line.seq for line in producer.said}
        assert await desk.seqs() == sorted(everything - bad)
        assert {letter.seq for letter in desk.store.letters.values()} == everything & bad
        assert all(len(decode_batch(letter.payload).lines) == 1 for letter in desk.store.letters.values())
        assert desk.log.pending == {}
        (known,) = (await desk.prove("standup")).producers
        assert (known.stored, known.dead, known.missing) == (len(everything - bad), len(everything & bad), ())

    asyncio.run(run())


async def test_nothing_is_acknowledged_when_the_store_has_not_committed() -> None:
    """While it is away the set is held and tried again, each wait longer up to the limit; then it drains."""
    desk = Desk()
    producer = Producer()
    delivery = await desk.arrive(producer.say(3))
    desk.store.away = True
    storing = asyncio.create_task(desk.store_entries(desk.stream, delivery))
    await until(lambda: len(desk.waits) >= 6)
    assert desk.log.acknowledged == []
    assert desk.waits[:3] == sorted(desk.waits[:3])
    assert max(desk.waits) <= 3.0
    desk.store.away = False
    await storing
    assert desk.log.acknowledged == list(delivery.entry_ids)
    assert await desk.seqs() == [1, 2, 3]
    assert desk.store.commits == 1


class SlowStore(FakeStore):
    """Manages some lines and letters in the time it has, not more; or any number, once it has failed `busy` times."""

    def __init__(self, manages: int, *, busy: int = 1_000_000) -> None:
        super().__init__()
        self.manages = manages
        self.busy = busy
        self.asked: list[int] = []

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        size = sum(len(parcel.lines) for parcel in parcels) + len(letters)
        self.asked.append(size)
        if size > self.manages and self.busy:
            self.busy -= 1
            raise TooSlowError("too slow")
        return await super().commit(parcels, letters)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 9), st.integers(1, 9))
def test_set_is_stored_in_parts_when_it_is_too_slow_as_a_whole(sizes: list[int], malformed: int, manages: int) -> None:
    """Everything once and in order, no line dead of it, and acknowledged when the last part is durable."""

    async def run() -> None:
        desk = Desk(store := SlowStore(manages))
        producer = Producer()
        await desk.store_all(
            *[producer.say(size) for size in sizes], producer.close(), *[b"%d" % number for number in range(malformed)]
        )
        assert [line.text for line in (await desk.read("standup", cursor=None, limit=1000)).lines] == [
            line.text for line in producer.said
        ]
        assert desk.observer.dead == ({"malformed": malformed} if malformed else {})
        assert len(store.letters) == malformed
        ((_, outcome),) = desk.observer.committed_sets
        assert (outcome.lines, outcome.duplicates) == (sum(sizes), 0)
        assert desk.log.pending == {}
        assert (await desk.prove("standup")).verdict == "complete"

    asyncio.run(run())


async def test_set_is_offered_whole_again_when_it_was_too_slow_once() -> None:
    """What kept the server busy may have passed."""
    desk = Desk(store := SlowStore(manages=0, busy=1))
    await desk.store_all(Producer().say(4))
    assert store.asked == [4, 4]


async def test_single_line_is_held_when_it_is_too_slow_for_ever() -> None:
    """It can't be divided and isn't known to be bad: it waits, unacknowledged and undead."""
    desk = Desk(store := SlowStore(manages=0))
    storing = asyncio.create_task(desk.store_all(Producer().say(2)))
    await until(lambda: len(store.asked) >= 8)
    assert store.asked[:8] == [2, 2, 1, 1, 1, 1, 1, 1]
    assert (desk.log.acknowledged, store.letters) == ([], {})
    store.manages = 1
    await storing
    assert await desk.seqs() == [1, 2]
    assert desk.log.pending == {}


async def test_acknowledging_is_tried_again_when_the_stream_is_away() -> None:
    """What is committed is not committed again meanwhile."""
    desk = Desk()
    delivery = await desk.arrive(Producer().say(3))
    desk.log.away = True
    storing = asyncio.create_task(desk.store_entries(desk.stream, delivery))
    await until(lambda: len(desk.waits) >= 3)
    desk.log.away = False
    await storing
    assert desk.store.commits == 1
    assert desk.log.pending == {}


async def test_producer_is_dead_lettered_when_it_belongs_to_another_meeting() -> None:
    """Neither meeting gets the other's lines, and the first one's proof is not touched."""
    desk = Desk()
    rightful = Producer("standup")
    intruder = Producer("retro", producer_id=rightful.producer_id)
    await desk.store_all(rightful.say(2), rightful.close(), intruder.say(3))
    assert await desk.seqs("standup") == [1, 2]
    assert await desk.seqs("retro") == []
    assert {(letter.meeting_id, letter.seq) for letter in desk.store.letters.values()} == {
        ("retro", 1),
        ("retro", 2),
        ("retro", 3),
    }
    assert (await desk.prove("standup")).verdict == "complete"


async def test_letters_are_kept_when_the_lines_beside_them_are_refused() -> None:
    """A malformed entry and a refused line in one read: both are dead letters, the rest is stored."""
    desk = Desk(FakeStore(refuses=lambda line: line.seq == 2))
    producer = Producer()
    await desk.store_all(b"malformed", producer.say(3))
    assert await desk.seqs() == [1, 3]
    assert sorted(letter.reason for letter in desk.store.letters.values()) == ["malformed", "refused"]
    assert desk.observer.dead == {"malformed": 1, "refused": 1}


async def test_process_fails_when_not_even_a_dead_letter_is_taken() -> None:
    """A person has to look; nothing is acknowledged."""

    class RefusesLetters(FakeStore):
        async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
            raise RefusedError("never")

    desk = Desk(RefusesLetters())
    delivery = await desk.arrive(Producer().say(2))
    with pytest.raises(UnstorableError):
        await desk.store_entries(desk.stream, delivery)
    assert desk.log.acknowledged == []


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 7))
def test_pages_hold_every_line_once_when_read_to_the_end(sizes: list[int], limit: int) -> None:
    """In reading order, with `next` null on the last page alone; no page but the last is short."""

    async def run() -> None:
        desk = Desk()
        early, late = Producer(), Producer(from_ms=1500)
        entries = [producer.say(size) for size in sizes for producer in (early, late)]
        await desk.store_all(*entries)
        pages = [await desk.read("standup", cursor=None, limit=limit)]
        while pages[-1].next is not None:
            pages.append(await desk.read("standup", cursor=pages[-1].next, limit=limit))
        read = [(line.started_ms, line.producer_id, line.seq) for page in pages for line in page.lines]
        assert read == sorted((line.started_ms, line.producer_id, line.seq) for line in early.said + late.said)
        assert all(len(page.lines) == limit for page in pages[:-1])

    asyncio.run(run())


async def test_reader_is_told_to_try_later_when_the_store_is_away() -> None:
    """An empty page would be a lie."""
    desk = Desk()
    desk.store.away = True
    with pytest.raises(TryLaterError):
        await desk.read("standup", cursor=None, limit=10)
    with pytest.raises(TryLaterError):
        await desk.prove("standup")


async def test_how_long_words_have_waited_is_told_once_they_are_durable() -> None:
    """By the first line of each entry; what names its lines as lost is told as such, and waits for nothing."""
    desk, producer = Desk(), Producer()
    said = decode_batch(producer.say(2))
    await desk.store_all(encode_batch(said), producer.lose(3))
    assert desk.observer.waits == [pytest.approx(NOW_SECONDS - said.lines[0].ended_ms / 1000)]
    assert desk.observer.lines_named_lost == 3


async def test_a_clock_that_is_behind_makes_no_negative_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's and ours are two."""
    desk, producer = Desk(), Producer()
    monkeypatch.setattr(desk.store_entries, "_unix_seconds", lambda: 0.0)
    await desk.store_all(producer.say(1))
    assert desk.observer.waits == [0.0]
