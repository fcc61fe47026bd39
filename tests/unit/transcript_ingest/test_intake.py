"""What becomes of a stream entry: parcels, dead letters, and halves of a refused write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transcript_ingest.producing import Producer, unix_ms, uuid7

from meetai_contracts.transcript import BATCH_FIELD, TranscriptLine, decode_batch, encode_batch
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.errors import RefusedError
from meetai_transcript_ingest.domain.intake import MAX_DEAD_LINES, MAX_PAYLOAD_BYTES, unpack
from meetai_transcript_ingest.domain.parcels import Parcel, dead_parcel, halves, in_write_order, with_lines
from meetai_transcript_ingest.domain.producers import UNDATED, Declaration, merge, producer_day
from meetai_transcript_ingest.domain.wire import LaidOut, wire_line

RAW = msgspec.msgpack.Encoder(uuid_format="bytes")


def arrival(data: bytes, field: str = BATCH_FIELD) -> Arrival:
    return Arrival("stream", "1-1", {field.encode(): data})


def parcel_of(data: bytes) -> Parcel:
    (parcel,) = unpack(arrival(data)).parcels
    return parcel


def said_in(parcel: Parcel) -> tuple[TranscriptLine, ...]:
    return tuple(line.as_said() for line in parcel.lines)


def spoiled(producer: Producer, count: int, spoil: dict[int, dict[int, object]]) -> bytes:
    """A batch of `count` lines of which some have elements (by index) that the contract refuses."""
    batch = msgspec.msgpack.decode(producer.say(count))
    for position, elements in spoil.items():
        for index, value in elements.items():
            batch[8][position][index] = value
    return RAW.encode(batch)


def test_lines_come_in_one_parcel_when_the_entry_is_sound() -> None:
    """Nothing is dead, and the declaration is the batch's."""
    producer = Producer()
    unpacked = unpack(arrival(producer.say(3)))
    assert unpacked.letters == ()
    (parcel,) = unpacked.parcels
    assert said_in(parcel) == tuple(producer.said)
    assert parcel.declaration == Declaration(producer.producer_id, "standup", "RM_1", declared=3)


def test_declaration_says_what_the_kind_says_when_there_are_no_lines() -> None:
    """Open, gap and close each tell one thing of the producer."""
    producer = Producer()
    assert parcel_of(producer.open()).declaration.opened
    assert parcel_of(producer.lose(4)).declaration.gaps == ((1, 4),)
    closed = parcel_of(producer.close()).declaration
    assert (closed.closed, closed.declared) == (True, 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b"\xc1 not msgpack", "malformed"),
        (RAW.encode({"v": 1}), "malformed"),
        (RAW.encode([2, "lines", "of the future"]), "unknown_version"),
        (RAW.encode([1, "lines", "", "RM", uuid4(), 1, 1, 1, [[]]]), "malformed"),
        (RAW.encode([1, "lines", "m", "RM", uuid4(), 1, 9, 9, [[]]]), "malformed"),
        (RAW.encode([1, "lines", "m", "RM", uuid4(), 1, 2, 1, [[], []]]), "malformed"),
        (b"\x91" * 100_000, "malformed"),
        (b"x" * (MAX_PAYLOAD_BYTES + 1), "malformed"),
    ],
    ids=["empty", "garbage", "map", "version", "no meeting", "range", "count", "depth", "size"],
)
def test_entry_dies_whole_when_it_is_no_batch(data: bytes, reason: str) -> None:
    """It becomes one dead letter with its own bytes, cut where they are too many to keep."""
    unpacked = unpack(arrival(data))
    assert unpacked.parcels == ()
    (letter,) = unpacked.letters
    assert (letter.reason, letter.payload, letter.seq) == (reason, data[:MAX_PAYLOAD_BYTES], None)


def test_entry_dies_whole_when_the_field_is_missing() -> None:
    """All its fields are kept."""
    (letter,) = unpack(arrival(b"x", field="wrong")).letters
    assert letter.reason == "no_batch"
    assert msgspec.msgpack.decode(letter.payload) == {b"wrong": b"x"}


@pytest.mark.parametrize(
    "spoil", [{3: "NUL \0 in it"}, {3: ""}, {4: -1}, {7: 1.5}, {2: ["u", "n", "robot"]}, {1: 99}, {0: "no uuid"}]
)
def test_line_dies_alone_when_only_it_breaks_the_contract(spoil: dict[int, object]) -> None:
    """The other lines of its batch live, and its letter says which line of whom it was."""
    producer = Producer()
    unpacked = unpack(arrival(spoiled(producer, 5, {2: spoil})))
    (parcel,) = unpacked.parcels
    assert said_in(parcel) == tuple(line for line in producer.said if line.seq != 3)
    assert parcel.declaration.declared == 5
    (letter,) = unpacked.letters
    assert (letter.reason, letter.seq, letter.producer_id) == ("malformed", 3, producer.producer_id)
    assert "NUL \0" not in letter.detail


def test_producer_is_still_declared_when_every_line_is_bad() -> None:
    """What is lost shows in the integrity, because the parcel without lines tells the high-water mark."""
    producer = Producer()
    unpacked = unpack(arrival(spoiled(producer, 2, {0: {3: ""}, 1: {3: ""}})))
    assert [letter.seq for letter in unpacked.letters] == [1, 2]
    (parcel,) = unpacked.parcels
    assert (parcel.lines, parcel.declaration.declared) == ((), 2)


@pytest.mark.parametrize("spoil", [{3: ""}, {3: "NUL \0 in it"}, {2: None}, {1: 99}], ids=["text", "NUL", "who", "seq"])
def test_bad_lines_have_one_letter_when_they_are_too_many(spoil: dict[int, object]) -> None:
    """It is the entry itself, of no line; the good lines live, also the longest and those that come last."""
    producer = Producer()
    bad = range(1, MAX_DEAD_LINES + 2)
    batch = msgspec.msgpack.decode(
        encode_batch(producer.batch(*[producer.line("x" * 16_000 if seq == 30 else None) for seq in range(1, 41)]))
    )
    for seq in bad:
        for index, value in spoil.items():
            batch[8][seq - 1][index] = value
    data = RAW.encode(batch)
    unpacked = unpack(arrival(data))
    (parcel,) = unpacked.parcels
    assert said_in(parcel) == tuple(line for line in producer.said if line.seq not in bad)
    assert parcel.declaration.declared == 40
    (letter,) = unpacked.letters
    assert (letter.reason, letter.seq, letter.payload) == ("malformed", None, data)
    assert (letter.meeting_id, letter.producer_id) == ("standup", producer.producer_id)
    assert letter.detail == "21 of its 40 lines are malformed"


def test_bad_lines_have_a_letter_each_when_they_are_just_few_enough() -> None:
    """As many as the bound."""
    producer = Producer()
    unpacked = unpack(arrival(spoiled(producer, 40, {position: {3: ""} for position in range(MAX_DEAD_LINES)})))
    assert [letter.seq for letter in unpacked.letters] == list(range(1, MAX_DEAD_LINES + 1))


def test_letter_is_as_small_as_its_entry_when_a_kilobyte_claims_a_thousand_lines() -> None:
    """Thousands of such entries are held at once, and written in one transaction."""
    data = RAW.encode([1, "lines", "m", "RM", uuid4(), 1, 1_000, 1_000, [None] * 1_000])
    unpacked = unpack(arrival(data))
    assert [letter.payload for letter in unpacked.letters] == [data]
    (parcel,) = unpacked.parcels
    assert (parcel.lines, parcel.declaration.declared) == ((), 1_000)


@pytest.mark.parametrize("entry", ["open", "close", "gap", "line"])
def test_dead_letter_is_an_entry_of_its_own_when_redriven(entry: str) -> None:
    """Its payload decodes to the same statement, or to the one line."""
    producer = Producer()
    made: dict[str, Callable[[], bytes]] = {
        "open": producer.open,
        "close": producer.close,
        "gap": lambda: producer.lose(2),
        "line": lambda: producer.say(1),
    }
    data = made[entry]()
    letter = dead_parcel(parcel_of(data), "refused", "why")
    assert decode_batch(letter.payload) == decode_batch(data)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6))
def test_halves_hold_everything_once_when_divided_to_the_end(sizes: list[int]) -> None:
    """Dividing ends with single lines and empty parcels, and no line is lost or doubled on the way."""
    producer = Producer()
    parcels = [
        with_lines(parcel_of(producer.open()), tuple(wire_line(producer.line()) for _ in range(size))) for size in sizes
    ]
    waiting: list[tuple[Parcel, ...]] = [tuple(parcels)]
    leaves: list[Parcel] = []
    while waiting:
        part = waiting.pop()
        divided = halves(part)
        if divided is None:
            leaves += part
        else:
            waiting += divided
    assert all(len(leaf.lines) <= 1 for leaf in leaves)
    assert sorted(line.seq for leaf in leaves for line in leaf.lines) == [line.seq for line in producer.said]
    assert sum(not leaf.lines for leaf in leaves) == sizes.count(0)


def test_write_order_is_the_tables_key_when_entries_came_in_any_order() -> None:
    """By day, producer and seq, so that two writers lock alike."""
    early = Producer(producer_id=uuid7(unix_ms(2026, 1, 1)))
    late = Producer(producer_id=uuid7(unix_ms(2026, 1, 2)))
    undated = Producer(producer_id=UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"))
    first, second = early.say(2), early.say(1)
    entries = [late.say(1), second, undated.say(1), first]
    ordered = in_write_order([parcel_of(entry) for entry in entries])
    assert [said_in(parcel)[0] for parcel in ordered] == [undated.said[0], early.said[0], early.said[2], late.said[0]]


@pytest.mark.parametrize(
    ("producer_id", "day"),
    [
        (uuid7(unix_ms(2026, 11, 22, 23)), date(2026, 11, 22)),
        (uuid7(unix_ms(2026, 11, 23)), date(2026, 11, 23)),
        (uuid7(0), date(1970, 1, 1)),
        (uuid7(unix_ms(9999, 12, 31)), date(9999, 12, 31)),
        (uuid7(2**48 - 1), UNDATED),
        (uuid4(), UNDATED),
    ],
)
def test_day_is_the_producers_start_when_its_id_tells_it(producer_id: UUID, day: date) -> None:
    """In UTC; an id that tells no time, or one past all calendars, has one fixed day, so that its lines meet again."""
    assert producer_day(producer_id) == day


def test_declarations_are_merged_when_they_are_of_one_producer() -> None:
    """The highest mark, all gaps, and opened or closed if any of them says so."""
    one = uuid7()
    merged = merge(
        [
            Declaration(one, "m", "RM_1", declared=5, gaps=((2, 3),)),
            Declaration(one, "m", "RM_2", declared=9, closed=True),
            Declaration(one, "m", "RM_1", declared=7, opened=True, gaps=((8, 8),)),
        ]
    )
    assert merged == [Declaration(one, "m", "RM_1", declared=9, opened=True, closed=True, gaps=((2, 3), (8, 8)))]


def test_declarations_are_refused_when_a_producer_is_in_two_meetings() -> None:
    """An agent job is in one room; whoever says otherwise is wrong."""
    one = uuid7()
    with pytest.raises(RefusedError):
        merge([Declaration(one, "m", "RM", declared=1), Declaration(one, "other", "RM", declared=1)])


def test_largest_batch_is_within_what_a_dead_letter_keeps() -> None:
    """A payload that could be redriven is never cut."""
    producer = Producer()
    batch = encode_batch(producer.batch(*[producer.line("x" * 16_000) for _ in range(16)]))
    assert len(batch) <= MAX_PAYLOAD_BYTES


def test_lines_are_there_again_when_they_are_laid_out_already() -> None:
    """As many, in order, by index and in halves; a row each, made once."""
    producer = Producer()
    (parcel,) = unpack(arrival(producer.say(5)), lambda lines: [str(line.seq).encode() for line in lines]).parcels
    assert isinstance(parcel.lines, LaidOut)
    assert parcel.lines.rows == [b"1", b"2", b"3", b"4", b"5"]
    assert (len(parcel.lines), parcel.first_seq) == (5, 1)
    assert said_in(parcel) == tuple(producer.said)
    assert parcel.lines[4].as_said() == producer.said[4]
    halved = halves([parcel])
    assert halved is not None
    assert [[line.seq for line in half.lines] for (half,) in halved] == [[1, 2], [3, 4, 5]]
    assert [half.first_seq for (half,) in halved] == [1, 3]
