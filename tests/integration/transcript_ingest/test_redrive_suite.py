"""What redriving promises, kept alike over the fake store and over PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.unit.transcript_ingest.fake_letters import FakeDeadLetters
from tests.unit.transcript_ingest.fakes import FakeObserver, FakeStore
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.transcript import BATCH_FIELD, encode_batch
from meetai_servicekit.postgres import create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_dead_letters import PostgresDeadLetters
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain import intake
from meetai_transcript_ingest.domain.errors import LetterGoneError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.letters import LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter
from meetai_transcript_ingest.domain.proof import prove
from meetai_transcript_ingest.ports import Archive, DeadLetters, LineStore
from meetai_transcript_ingest.usecases.redrive import InspectDeadLetters, Redrive

EVERYTHING = LetterFilter()


class Desk:
    """The use cases, over one store or the other."""

    def __init__(self, store: LineStore, archive: Archive, letters: DeadLetters) -> None:
        self.store = store
        self.archive = archive
        self.letters = letters
        self.observer = FakeObserver()
        self.inspect = InspectDeadLetters(letters)
        self.redrive = Redrive(letters, observer=self.observer, monotonic=lambda: 0.0)

    async def arrive(self, *entries: bytes, entry_id: str = "1-1") -> None:
        """Store entries as the consumer does."""
        unpacked = [unpack(Arrival("stream", entry_id, {BATCH_FIELD.encode(): entry})) for entry in entries]
        parcels = [parcel for one in unpacked for parcel in one.parcels]
        await self.store.commit(parcels, [letter for one in unpacked for letter in one.letters])

    async def bury(self, *payloads: bytes, reason: str = "unknown_version") -> None:
        """Dead letters of whole entries, whatever they hold."""
        letters = [
            msgspec.convert(
                {"stream": "stream", "entry_id": f"9-{i}", "reason": reason, "detail": "why", "payload": payload},
                DeadLetter,
            )
            for i, payload in enumerate(payloads)
        ]
        await self.store.commit((), letters)

    async def ids(self) -> list[int]:
        return [letter.id for letter in await self.letters.page(EVERYTHING, before=None, limit=100)]

    async def texts(self, meeting_id: str = "standup") -> list[str]:
        return [line.text for line in await self.archive.lines_after(meeting_id, None, 1000)]


@pytest.fixture(params=["fake", "postgres"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "fake":
        fake = FakeStore()
        yield Desk(fake, fake, FakeDeadLetters(fake))
        return
    url = request.getfixturevalue("module_database_url")
    async with create_pool(url, schema=SCHEMA, min_size=1, max_size=4, application="suite") as pool:
        async with pool.connection() as connection:
            await connection.execute("TRUNCATE lines, producers, dead_letters, audit")
        store = PostgresLineStore(pool)
        yield Desk(store, PostgresArchive(pool), PostgresDeadLetters(pool, store))


async def test_letters_are_listed_newest_first_when_read_page_by_page(desk: Desk) -> None:
    """Each once, with `next` null on the last page alone; filters narrow it."""
    await desk.bury(b"\xc1", b"\xc1\xc1", reason="malformed")
    await desk.bury(*[Producer().say(1)] * 5)
    everything = [
        letter.payload_bytes for letter in (await desk.inspect.page(EVERYTHING, before=None, limit=9)).dead_letters
    ]
    pages = [await desk.inspect.page(EVERYTHING, before=None, limit=2)]
    while pages[-1].next is not None:
        pages.append(await desk.inspect.page(EVERYTHING, before=int(pages[-1].next), limit=2))
    assert [letter.payload_bytes for page in pages for letter in page.dead_letters] == everything
    malformed = await desk.inspect.page(LetterFilter(reason="malformed"), before=None, limit=9)
    assert [letter.payload_bytes for letter in malformed.dead_letters] == [2, 1]


async def test_batch_is_stored_when_the_code_can_read_it_by_now(desk: Desk) -> None:
    """As after an upgrade: the letter of an unknown version is gone, its lines are there, once."""
    producer = Producer()
    entry = producer.say(3)
    await desk.bury(entry)
    (letter_id,) = await desk.ids()
    redriven = await desk.redrive.one(letter_id, actor="me")
    assert (redriven.redriven, redriven.stayed, redriven.lines) == (1, 0, 3)
    assert await desk.ids() == []
    await desk.arrive(entry)
    assert await desk.texts() == [line.text for line in producer.said]
    assert desk.observer.fates == {"redriven": 1}


async def test_letter_stays_when_nobody_can_read_it_yet(desk: Desk) -> None:
    """With the reason of today, and a count of the attempts; nothing else changes."""
    future = msgspec.msgpack.encode((9, "lines", "standup", "RM_1", b"\0" * 16, "more"))
    await desk.bury(future, reason="malformed")
    (letter_id,) = await desk.ids()
    for _ in range(2):
        redriven = await desk.redrive.one(letter_id, actor="me")
        assert (redriven.redriven, redriven.stayed, redriven.lines) == (0, 1, 0)
    kept = await desk.letters.get(letter_id)
    assert (kept.summary.reason, kept.summary.attempts, kept.payload) == ("unknown_version", 2, future)
    assert kept.summary.attempted_at is not None


async def test_good_lines_are_stored_when_one_of_the_letter_is_bad(desk: Desk) -> None:
    """A letter of a whole entry becomes the letter of its one bad line."""
    producer = Producer()
    lines = [producer.line() for _ in range(3)]
    encoded = msgspec.msgpack.decode(encode_batch(producer.batch(*lines)))
    encoded[8][1][3] = ""  # no text
    await desk.bury(msgspec.msgpack.encode(encoded), reason="malformed")
    (letter_id,) = await desk.ids()
    redriven = await desk.redrive.one(letter_id, actor="me")
    assert (redriven.redriven, redriven.lines) == (1, 2)
    (left,) = (await desk.inspect.page(EVERYTHING, before=None, limit=9)).dead_letters
    assert (left.seq, left.reason, left.meeting_id) == (2, "malformed", "standup")
    assert len(await desk.texts()) == 2


async def test_entry_stays_a_letter_when_too_many_of_its_lines_are_bad(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its good lines are stored once, however often it is redriven; once few enough are bad, they become letters of their own."""
    producer = Producer()
    batch = msgspec.msgpack.decode(producer.say(30))
    for line in batch[8][2:28]:
        line[3] = ""  # no text
    entry = msgspec.msgpack.encode(batch)
    await desk.arrive(entry)
    await desk.arrive(entry, producer.close())
    good = [line.text for line in producer.said if line.seq in {1, 2, 29, 30}]
    for _ in range(2):
        (letter_id,) = await desk.ids()
        redriven = await desk.redrive.one(letter_id, actor="me")
        assert (redriven.redriven, redriven.stayed, redriven.lines) == (0, 1, 0)
        kept = await desk.letters.get(letter_id)
        assert (kept.seq, kept.payload, kept.summary.meeting_id) == (None, entry, "standup")
        assert await desk.texts() == good
        proof = prove("standup", await desk.archive.producers("standup"))
        assert (proof.verdict, proof.producers[0].missing) == ("incomplete", ((3, 28),))
    monkeypatch.setattr(intake, "MAX_DEAD_LINES", 26)
    assert (await desk.redrive.one(letter_id, actor="me")).redriven == 1
    left = await desk.letters.page(EVERYTHING, before=None, limit=99)
    assert sorted(letter.seq or 0 for letter in left) == list(range(3, 29))
    assert await desk.texts() == good
    proof = prove("standup", await desk.archive.producers("standup"))
    assert (proof.verdict, proof.producers[0].dead, proof.producers[0].missing) == ("incomplete", 26, ())


async def test_conflict_stays_when_redriven_until_told_to_be_discarded(desk: Desk) -> None:
    """The line that was first is never replaced."""
    producer = Producer()
    await desk.arrive(encode_batch(producer.batch(producer.line("first"))))
    await desk.arrive(encode_batch(producer.batch(producer.line("second", seq=1))), entry_id="2-2")
    (letter_id,) = await desk.ids()
    assert (await desk.redrive.one(letter_id, actor="me")).stayed == 1
    assert (await desk.letters.get(letter_id)).summary.attempts == 1
    redriven = await desk.redrive.many(EVERYTHING, before=None, limit=9, actor="me", discard_conflicts=True)
    assert (redriven.discarded, redriven.stayed) == (1, 0)
    assert await desk.ids() == []
    assert await desk.texts() == ["first"]


async def test_letter_stays_when_its_producer_belongs_to_another_meeting(desk: Desk) -> None:
    """Refused by the store as a whole: the letter is kept as it is, with the reason."""
    producer = Producer()
    await desk.arrive(producer.say(1))
    await desk.bury(Producer("other", producer_id=producer.producer_id).say(2))
    (letter_id,) = await desk.ids()
    assert (await desk.redrive.one(letter_id, actor="me")).stayed == 1
    kept = await desk.letters.get(letter_id)
    assert (kept.summary.reason, kept.summary.attempts) == ("refused", 1)


async def test_line_is_stored_once_when_two_redrive_the_same_letter(desk: Desk) -> None:
    """One of them does it, the other finds it gone."""
    producer = Producer()
    await desk.bury(producer.say(4))
    (letter_id,) = await desk.ids()
    outcomes = await asyncio.gather(
        *[desk.redrive.one(letter_id, actor="me") for _ in range(3)], return_exceptions=True
    )
    assert sum(isinstance(outcome, LetterGoneError) for outcome in outcomes) == 2
    assert await desk.texts() == [line.text for line in producer.said]


async def test_bulk_redrive_goes_on_where_it_stopped_when_given_its_cursor(desk: Desk) -> None:
    """Every letter is tried once, also those that stay."""
    producers = [Producer(f"m{number}") for number in range(5)]
    await desk.bury(*[entry for producer in producers for entry in (producer.say(2), b"\xc1")])
    before, totals = None, []
    while True:
        done = await desk.redrive.many(EVERYTHING, before=before, limit=3, actor="me")
        totals.append((done.redriven, done.stayed))
        if done.next is None:
            break
        before = int(done.next)
    assert tuple(map(sum, zip(*totals, strict=True))) == (5, 5)
    assert {letter.attempts for letter in await desk.letters.page(EVERYTHING, before=None, limit=99)} == {1}


async def test_bulk_redrive_leaves_others_alone_when_it_is_filtered(desk: Desk) -> None:
    """By meeting and by reason."""
    await desk.arrive(msgspec.msgpack.encode((9, "lines", "one", "RM", b"\0" * 16)), entry_id="1-1")
    await desk.arrive(msgspec.msgpack.encode((9, "lines", "two", "RM", b"\0" * 16)), entry_id="1-2")
    await desk.arrive(b"\xc1", entry_id="1-3")
    await desk.redrive.many(LetterFilter(meeting_id="one"), before=None, limit=9, actor="me")
    await desk.redrive.many(LetterFilter(reason="malformed"), before=None, limit=9, actor="me")
    attempts = {
        letter.entry_id: letter.attempts for letter in await desk.letters.page(EVERYTHING, before=None, limit=9)
    }
    assert attempts == {"1-1": 1, "1-2": 0, "1-3": 1}


async def test_nothing_is_done_when_a_letter_is_not_there(desk: Desk) -> None:
    """Whatever is asked of it."""
    for ask in (
        desk.inspect.content(7),
        desk.redrive.one(7, actor="me"),
        desk.redrive.discard(7, actor="me"),
    ):
        with pytest.raises(LetterGoneError):
            await ask


async def test_content_is_the_batch_when_it_can_be_read_and_bytes_otherwise(desk: Desk) -> None:
    """The only place where what was said is shown."""
    producer = Producer()
    await desk.bury(producer.say(1), b"\xc1")
    newest, oldest = await desk.ids()
    unreadable, readable = await desk.inspect.content(newest), await desk.inspect.content(oldest)
    assert (unreadable.batch, unreadable.payload) == (None, "wQ==")
    assert readable.batch is not None
    assert [line.text for line in readable.batch.lines] == [line.text for line in producer.said]
