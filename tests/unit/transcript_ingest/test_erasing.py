"""The tombstone's rule, and what it takes out of a write."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.unit.transcript_ingest.test_proof import record

from meetai_contracts.transcript import BATCH_FIELD
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.erasing import CLOCK_SKEW_MS, Tombstone, spare
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel
from meetai_transcript_ingest.domain.proof import prove

ERASED_MS = 1_790_000_000_000
EARLIER, LATER = uuid7(ERASED_MS - 1), uuid7(ERASED_MS + CLOCK_SKEW_MS + 1)


@pytest.mark.parametrize(
    ("producer_id", "is_covered"),
    [
        (EARLIER, True),
        (uuid7(ERASED_MS), True),
        (uuid7(ERASED_MS + CLOCK_SKEW_MS), True),
        (LATER, False),
        (uuid4(), True),
        (uuid7(2**48 - 1), True),
        (None, True),
    ],
)
def test_producer_is_covered_when_it_had_started(producer_id: UUID | None, is_covered: bool) -> None:
    """By its own clock, which may be ahead a little; one that tells no time is covered."""
    assert Tombstone(ERASED_MS).covers(producer_id) is is_covered


def test_producer_is_covered_when_it_was_known_whatever_its_clock_says() -> None:
    """It is named."""
    assert Tombstone(ERASED_MS, frozenset({LATER})).covers(LATER)


def parcels(*entries: bytes) -> list[Parcel]:
    return [
        parcel for entry in entries for parcel in unpack(Arrival("s", "1-1", {BATCH_FIELD.encode(): entry})).parcels
    ]


@given(st.lists(st.tuples(st.sampled_from(["erased", "kept"]), st.booleans(), st.integers(1, 4)), max_size=8))
def test_write_loses_exactly_what_is_covered_when_it_is_spared(batches: list[tuple[str, bool, int]]) -> None:
    """Every line is either still there or noted as erased; declarations all stay."""
    producers = [
        Producer(meeting_id, producer_id=uuid7(ERASED_MS + (60_000 if is_new else -60_000)))
        for meeting_id, is_new, _ in batches
    ]
    written = parcels(*[producer.say(count) for producer, (_, _, count) in zip(producers, batches, strict=True)])
    spared = spare(written, (), {"erased": Tombstone(ERASED_MS)})
    covered = [
        producer
        for producer, (meeting, is_new, _) in zip(producers, batches, strict=True)
        if meeting == "erased" and not is_new
    ]
    assert spared.erased == {
        ("erased", producer.producer_id): [line.seq for line in producer.said] for producer in covered
    }
    assert spared.lines == sum(len(producer.said) for producer in covered)
    assert [parcel.declaration for parcel in spared.parcels] == [parcel.declaration for parcel in written]
    left = [line.as_said() for parcel in spared.parcels for line in parcel.lines]
    assert left == [line for producer in producers if producer not in covered for line in producer.said]


def test_letter_is_left_out_when_it_is_covered() -> None:
    """The one of a line counts as that line; another meeting's letter, and one of nobody, are kept."""
    dead = [
        DeadLetter("s", "1", "refused", "why", b"x", "erased", EARLIER, 3),
        DeadLetter("s", "2", "unknown_version", "why", b"x", "erased"),
        DeadLetter("s", "3", "refused", "why", b"x", "erased", LATER, 3),
        DeadLetter("s", "4", "refused", "why", b"x", "kept", EARLIER, 3),
        DeadLetter("s", "5", "malformed", "why", b"x"),
    ]
    spared = spare((), dead, {"erased": Tombstone(ERASED_MS)})
    assert [letter.entry_id for letter in spared.letters] == ["3", "4", "5"]
    assert spared.erased == {("erased", EARLIER): [3]}


def test_verdict_names_what_was_erased_when_nothing_is_missing() -> None:
    """Erased on request is not missing."""
    integrity = prove("standup", [replace(record(3, {1, 2, 3}), stored=1, erased=2)])
    assert integrity.reason == "all stored and closed: 3 lines of 1 producer, 2 of them erased on request"
    assert integrity.producers[0].erased == 2
