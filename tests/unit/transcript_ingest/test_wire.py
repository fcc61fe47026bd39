"""The write path's own reading of a batch: the same as the contract's, whatever the bytes."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transcript_ingest.producing import SPOKEN_FROM_MS, Producer, uuid7

from meetai_contracts.codec import ContractError
from meetai_contracts.transcript import TranscriptBatch, decode_batch
from meetai_transcript_ingest.domain.wire import WireBatch, read_batch

ENCODE = msgspec.msgpack.Encoder(uuid_format="bytes").encode
ODD_TEXTS = [
    "",
    "\0",
    "a\0b",
    "x" * 4_096,
    "x" * 4_097,
    "é" * 8_192,
    "é" * 8_193,
    "x" * 16_385,
    "tab\t\\N\n",
    "👩‍🚀",
    7,
    None,
]
ODD_IDS = ["", "a\0", "e\u0301", "x" * 257, "\u202e", 7]
ODD_NUMBERS = [-1, 0, 1, 2, 2**53, 2**63, 1.5, "1", None, True]
LINE_ELEMENTS: dict[int, list[object]] = {
    0: [uuid4(), str(uuid4()), b"short", None],
    1: ODD_NUMBERS,
    2: [
        ["u", "n", "robot"],
        ["u\0", "n", "human"],
        ["u", "n\0", "human"],
        ["u" * 257, "é" * 513, "agent"],
        ["u" * 1_025, "", "human"],
        ["u"],
        "u",
    ],
    3: ODD_TEXTS,
    4: [*ODD_NUMBERS, 253_402_300_800_000],
    5: [*ODD_NUMBERS, SPOKEN_FROM_MS],
    6: ["en", "\0", "x" * 65, "é" * 64, "", 7],
    7: [0, 1, 0.5, -0.1, 1.1, float("nan"), "0.5"],
    8: [1, None, "true"],
    9: ["screen_share", "camera", "", None, 7],
}
BATCH_ELEMENTS: dict[int, list[object]] = {
    0: [0, 2, "1", None],
    1: ["open", "gap", "close", "other", 1],
    2: ODD_IDS,
    3: ODD_IDS,
    4: [uuid4(), str(uuid4()), b"short", None],
    5: ODD_NUMBERS,
    6: ODD_NUMBERS,
    7: ODD_NUMBERS,
    8: [[], None, [[]], "lines"],
}


def both(data: bytes) -> None:
    """Read it both ways."""
    try:
        expected: TranscriptBatch | str = decode_batch(data)
    except ContractError as error:
        expected = f"{type(error).__name__}: {error}"
    try:
        got: TranscriptBatch | str = as_contract(read_batch(data))
    except ContractError as error:
        got = f"{type(error).__name__}: {error}"
    assert repr(got) == repr(expected)  # NaN differs from itself


def as_contract(batch: WireBatch) -> TranscriptBatch:
    return TranscriptBatch(
        v=batch.v,
        kind=batch.kind,
        meeting_id=batch.meeting_id,
        room_sid=batch.room_sid,
        producer_id=UUID(bytes=batch.producer_id),
        first_seq=batch.first_seq,
        last_seq=batch.last_seq,
        high_water=batch.high_water,
        lines=tuple(line.as_said() for line in batch.lines),
    )


def elements_of(data: bytes) -> list[object]:
    elements: list[object] = msgspec.msgpack.decode(data)
    return elements


@given(st.data())
def test_batch_is_read_as_the_contract_reads_it_when_anything_in_it_is_odd(data: st.DataObject) -> None:
    """Accepted with the same content, or refused with the same words: elements replaced, appended or missing."""
    producer = Producer(producer_id=uuid7(SPOKEN_FROM_MS))
    count = data.draw(st.integers(1, 4))
    batch = elements_of(producer.say(count))
    for _ in range(data.draw(st.integers(0, 2))):
        index = data.draw(st.integers(0, 8))
        batch[index] = data.draw(st.sampled_from(BATCH_ELEMENTS[index]))
    lines = batch[8]
    for _ in range(data.draw(st.integers(0, 2))):
        if isinstance(lines, list) and lines and lines[0]:
            index = data.draw(st.integers(0, 8))
            line = data.draw(st.sampled_from(lines))
            line[index] = data.draw(st.sampled_from(LINE_ELEMENTS[index]))
            if data.draw(st.booleans()):
                line.append("of the future")
    both(ENCODE(batch[: data.draw(st.sampled_from([9, 9, 9, 8, 4]))] + data.draw(st.sampled_from([[], ["more"]]))))


@given(st.binary(max_size=60))
def test_bytes_are_read_as_the_contract_reads_them_when_they_are_garbage(data: bytes) -> None:
    """The same refusal."""
    both(data)


@pytest.mark.parametrize("kind", ["open", "close", "lose"])
def test_batch_is_read_as_the_contract_reads_it_when_it_has_no_lines(kind: str) -> None:
    """What it says of its producer is there."""
    producer = Producer()
    both(producer.lose(3) if kind == "lose" else getattr(producer, kind)())


def test_batch_is_refused_when_it_is_too_large() -> None:
    """By the contract's limit, before it is opened."""
    both(Producer().say(3) + bytes(256 * 1024))


def test_line_is_the_same_bytes_when_it_is_written_again() -> None:
    """A dead letter of a line is a batch of it."""
    data = Producer().say(3)
    assert ENCODE(read_batch(data)) == data
