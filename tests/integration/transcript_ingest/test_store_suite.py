"""What `LineStore` and `Archive` promise, kept alike by the fake and by PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Protocol
from uuid import uuid4

import msgspec
import pytest
from tests.unit.transcript_ingest.fakes import FakeStore
from tests.unit.transcript_ingest.producing import Producer, unix_ms, uuid7

from meetai_contracts.transcript import BATCH_FIELD, Speaker, TranscriptLine, encode_batch
from meetai_servicekit.postgres import create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.errors import RefusedError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, with_lines
from meetai_transcript_ingest.domain.proof import MAX_RANGES, prove
from meetai_transcript_ingest.domain.wire import wire_line
from meetai_transcript_ingest.ports import Archive, Committed, LineStore

AWKWARD_TEXTS = (
    "\\N",
    "\\.",
    "a\tb\nc\rd\\e\\tf",
    "'; DROP TABLE lines; --",
    "\u05e9\u05dc\u05d5\u05dd \u202e\u05de\u05d4\u05d5\u05e4\u05da",
    "👩‍👩‍👧‍👦 + é (combining)",
    "\x01\x7f\u2028\ufeff\uffff",
    "x" * 16_384,
)


class Both(LineStore, Archive, Protocol):
    """A store that can be read."""


class PostgresBoth(PostgresLineStore, PostgresArchive):
    """Both adapters over one pool."""


@pytest.fixture(params=["fake", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Both]:
    if request.param == "fake":
        yield FakeStore()
        return
    url = request.getfixturevalue("module_database_url")
    async with create_pool(url, schema=SCHEMA, min_size=1, max_size=2, application="suite") as pool:
        async with pool.connection() as connection:
            await connection.execute("TRUNCATE lines, producers, dead_letters")
        yield PostgresBoth(pool)


async def commit(
    store: LineStore, *entries: bytes, entry_id: str = "1-1", letters: Sequence[DeadLetter] = ()
) -> Committed:
    return await store.commit(unpacked(*entries, entry_id=entry_id), letters)


def unpacked(*entries: bytes, entry_id: str = "1-1") -> list[Parcel]:
    arrivals = [Arrival("stream", entry_id, {BATCH_FIELD.encode(): entry}) for entry in entries]
    return [parcel for arrival in arrivals for parcel in unpack(arrival, lay_out).parcels]


async def read_lines(store: Archive, meeting_id: str = "standup") -> list[TranscriptLine]:
    """What is stored, as a producer says it."""
    return [
        TranscriptLine(
            line.producer_id,
            line.seq,
            Speaker(line.speaker.identity, line.speaker.name, line.speaker.kind),
            line.text,
            line.started_ms,
            line.ended_ms,
            line.language,
            line.confidence,
            line.interrupted,
            line.source,
        )
        for line in await store.lines_after(meeting_id, None, 100_000)
    ]


async def test_lines_are_stored_once_when_entries_come_again(store: Both) -> None:
    """The same bytes twice, in one write and in the next: counted as duplicates, stored once."""
    producer = Producer()
    first, second = producer.say(3), producer.say(2)
    assert await commit(store, first) == Committed(lines=3)
    assert await commit(store, first, second, second) == Committed(lines=2, duplicates=5)
    assert await commit(store, first, second) == Committed(lines=0, duplicates=5)
    assert await read_lines(store) == producer.said


async def test_lines_are_in_order_when_entries_are_not(store: Both) -> None:
    """Late and early entries of two producers, mixed."""
    early, late = Producer(), Producer(from_ms=500)
    entries = [early.say(2), late.say(2), early.say(2), late.say(2)]
    await commit(store, entries[3], entries[0])
    await commit(store, entries[2])
    await commit(store, entries[1])
    expected = sorted(early.said + late.said, key=lambda line: line.started_ms)
    assert await read_lines(store) == expected


async def test_text_comes_back_byte_for_byte_when_it_is_awkward(store: Both) -> None:
    """COPY's own escapes, markup, right-to-left, joiners, control characters and the longest line."""
    producer = Producer("a\\b 'c' é")
    lines = [producer.line(text) for text in AWKWARD_TEXTS]
    batch = encode_batch(producer.batch(*lines))
    await commit(store, batch)
    await commit(store, batch)
    assert await read_lines(store, producer.meeting_id) == lines


async def test_first_line_is_kept_when_another_comes_under_its_id(store: Both) -> None:
    """The other is dead-lettered, once, however often it is delivered; integrity tells it."""
    producer = Producer()
    await commit(store, encode_batch(producer.batch(producer.line(), producer.line())))
    changed = encode_batch(producer.batch(producer.line("changed", seq=1), producer.said[1]))
    for _ in range(2):
        assert await commit(store, changed, producer.close(), entry_id="2-1") == Committed(0, duplicates=1, conflicts=1)
    assert await read_lines(store) == producer.said
    integrity = prove("standup", await store.producers("standup"))
    assert (integrity.verdict, integrity.producers[0].dead) == ("incomplete", 1)


async def test_first_line_is_kept_when_two_versions_are_in_one_write(store: Both) -> None:
    """In the order in which they came."""
    producer = Producer()
    first = encode_batch(producer.batch(producer.line("first")))
    second = encode_batch(producer.batch(producer.line("second", seq=1)))
    assert await commit(store, first, second) == Committed(1, conflicts=1)
    assert [line.text for line in await read_lines(store)] == ["first"]


async def test_nothing_is_written_when_one_line_is_refused(store: Both) -> None:
    """A lone surrogate can't come off the stream; it stands for whatever PostgreSQL refuses."""
    good, bad = Producer("good"), Producer("bad")
    (parcel,) = unpacked(bad.open())
    with pytest.raises(RefusedError):
        await store.commit([*unpacked(good.say(2)), with_lines(parcel, (wire_line(bad.line("\ud800")),))], ())
    assert await store.producers("good") == ()
    assert await store.lines_after("good", None, 10) == ()


async def test_producer_is_refused_when_it_belongs_to_another_meeting(store: Both) -> None:
    """In one write and in the next; the first meeting keeps what is its own."""
    producer = Producer()
    intruder = Producer("other", producer_id=producer.producer_id)
    with pytest.raises(RefusedError):
        await commit(store, producer.open(), intruder.open())
    await commit(store, producer.say(1))
    with pytest.raises(RefusedError):
        await commit(store, intruder.say(2))
    assert await read_lines(store) == producer.said
    assert await store.producers("other") == ()


async def test_producer_is_known_by_all_its_entries_when_they_come_in_any_order(store: Both) -> None:
    """Close first, open last: the highest mark, the room it began in, and its gaps count."""
    producer = Producer()
    opening, said, lost, more = producer.open(), producer.say(2), producer.lose(3), producer.say(1)
    for entry in (producer.close(), more, lost, said, opening, lost):
        await commit(store, entry)
    (record,) = await store.producers("standup")
    assert (record.declared, record.stored, record.dead, record.closed) == (6, 3, 0, True)
    assert (record.present, record.present_ranges, record.named_lost) == (3, ((1, 2), (6, 6)), 3)


async def test_gap_is_no_loss_when_somebody_brings_its_lines(store: Both) -> None:
    """The worker that replays a dead job's spool may find what the job had given up."""
    producer = Producer()
    found = encode_batch(producer.batch(producer.line(), producer.line()))
    gap = Producer(producer_id=producer.producer_id)
    await commit(store, gap.lose(3))
    await commit(store, found)
    (record,) = await store.producers("standup")
    assert (record.named_lost, record.present_ranges) == (1, ((1, 2),))


async def test_dead_letters_count_as_present_when_they_name_a_line(store: Both) -> None:
    """They are neither stored nor missing; the same letter again is one letter, and another meeting's is nobody's."""
    producer = Producer()
    letters = [
        DeadLetter("stream", "1-1", "refused", "why", b"payload", "standup", producer.producer_id, 2),
        DeadLetter("stream", "1-2", "refused", "why", b"payload", "standup", producer.producer_id, 2),
        DeadLetter("stream", "1-3", "refused", "why", b"payload", "other", producer.producer_id, 1),
        DeadLetter("stream", "1-4", "malformed", "why", b"\xff\0"),
    ]
    first, _, third = producer.line(), producer.line(), producer.line()
    await commit(store, encode_batch(producer.batch(first)), encode_batch(producer.batch(third)), letters=letters)
    await store.commit((), letters)
    (record,) = await store.producers("standup")
    assert (record.stored, record.dead, record.present_ranges) == (2, 1, ((1, 3),))


async def test_present_ranges_are_cut_when_there_are_too_many(store: Both) -> None:
    """Every second line of some thousands is there: the first ranges are listed, all are counted."""
    producer = Producer()
    lines = [producer.line() for _ in range(2 * MAX_RANGES + 50)]
    await commit(store, *[encode_batch(producer.batch(line)) for line in lines if line.seq % 2])
    (record,) = await store.producers("standup")
    assert len(record.present_ranges) == MAX_RANGES + 1
    assert record.present_ranges[-1] == (2 * MAX_RANGES + 1, 2 * MAX_RANGES + 1)
    assert (record.present, record.stored) == (MAX_RANGES + 25, MAX_RANGES + 25)


async def test_line_is_stored_when_its_producers_id_tells_no_usual_day(store: Both) -> None:
    """Random ids, the distant past and future: the default partition has them, and gives them once."""
    producer_ids = [uuid4(), uuid7(0), uuid7(unix_ms(2019, 5, 5)), uuid7(2**48 - 1)]
    producers = [Producer(producer_id=producer_id) for producer_id in producer_ids]
    entries = [producer.say(2) for producer in producers]
    assert (await commit(store, *entries)).lines == 8
    assert (await commit(store, *entries)).duplicates == 8
    assert len(await read_lines(store)) == 8
    assert len(await store.producers("standup")) == 4


async def test_line_is_found_when_its_partition_is_made_after_it_came(store: Both) -> None:
    """It is still stored once, and a duplicate is still one."""
    producer = Producer(producer_id=uuid7(unix_ms(2031, 3, 4)))
    entry = producer.say(3)
    await commit(store, entry)
    assert await store.prepare_partitions(date(2031, 3, 3), 3) == 3
    assert await store.prepare_partitions(date(2031, 3, 3), 3) == 0
    assert await commit(store, entry, producer.say(1)) == Committed(lines=1, duplicates=3)
    assert await read_lines(store) == producer.said


async def test_line_is_no_conflict_when_it_was_stored_without_its_source(store: Both) -> None:
    """By a replica of the version before, which acknowledged it too late: the line comes again, to one that knows sources."""
    producer = Producer()
    line = msgspec.structs.replace(producer.line(), source="screen_share")
    await commit(store, encode_batch(producer.batch(msgspec.structs.replace(line, source="microphone"))))
    assert await commit(store, encode_batch(producer.batch(line))) == Committed(lines=0, duplicates=1)


async def test_page_goes_on_after_a_place_when_it_is_given_one(store: Both) -> None:
    """Also a place where no line is; equal start times are told apart by producer and seq."""
    one, other = Producer(), Producer()
    await commit(store, one.say(3), other.say(3))
    everything = await store.lines_after("standup", None, 100)
    for index, line in enumerate(everything):
        after = Position(line.started_ms, line.producer_id, line.seq)
        assert await store.lines_after("standup", after, 100) == everything[index + 1 :]
        assert await store.lines_after("standup", after, 2) == everything[index + 1 : index + 3]
    before = Position(everything[0].started_ms - 1, uuid4(), 1)
    assert await store.lines_after("standup", before, 100) == everything


async def test_meeting_is_empty_when_nobody_has_heard_of_it(store: Both) -> None:
    """No lines, no producers; and writing nothing is nothing."""
    assert await store.commit((), ()) == Committed(lines=0)
    assert await store.lines_after("nobody", None, 10) == ()
    assert await store.producers("nobody") == ()


async def test_meeting_is_over_when_all_its_producers_have_closed(store: Both) -> None:
    """From then on it tells for how long; not of a meeting that nobody has heard of."""
    one, other = Producer(), Producer()
    assert await store.over_for_seconds("standup") is None
    await commit(store, one.say(2), other.say(1), one.close())
    assert await store.over_for_seconds("standup") is None
    await commit(store, other.close())
    seconds = await store.over_for_seconds("standup")
    assert seconds is not None
    assert 0 <= seconds < 600
    assert await store.over_for_seconds("retro") is None
