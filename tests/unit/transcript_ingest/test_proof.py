"""Missing ranges and verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.transcript_ingest.fakes import ranges_of
from tests.unit.transcript_ingest.producing import uuid7

from meetai_transcript_ingest.domain.proof import MAX_RANGES, ProducerRecord, missing_ranges, prove


def record(
    declared: int, present: set[int], *, dead: int = 0, named_lost: int = 0, closed: bool = True
) -> ProducerRecord:
    return ProducerRecord(
        producer_id=uuid7(),
        room_sid="RM",
        declared=declared,
        stored=len(present) - dead,
        dead=dead,
        present=len(present),
        present_ranges=ranges_of(present)[: MAX_RANGES + 1],
        named_lost=named_lost,
        closed_for_seconds=30.0 if closed else None,
    )


@given(st.integers(0, 60), st.sets(st.integers(1, 60)))
def test_missing_and_present_are_all_that_was_declared_when_put_together(declared: int, numbers: set[int]) -> None:
    """Every number up to the mark is in exactly one of them."""
    present = {number for number in numbers if number <= declared}
    missing = {
        number for first, last in missing_ranges(declared, ranges_of(present)) for number in range(first, last + 1)
    }
    assert missing == set(range(1, declared + 1)) - present


def test_missing_ranges_are_the_first_thousand_when_there_are_more() -> None:
    """Nothing past the cut is called missing, since it may be there."""
    present = ranges_of(range(2, 5_000, 2))[: MAX_RANGES + 1]
    missing = missing_ranges(5_000, present)
    assert missing[0] == (1, 1)
    assert missing[-1] == (1_999, 1_999)
    assert len(missing) == MAX_RANGES


def test_missing_range_is_one_when_almost_nothing_of_a_huge_number_is_there() -> None:
    """The cost is that of the ranges, not of the numbers."""
    assert missing_ranges(2**53 - 1, ((1, 1),)) == ((2, 2**53 - 1),)


@pytest.mark.parametrize(
    ("records", "verdict", "reason"),
    [
        ([], "unproven", "no producer has been heard of"),
        ([record(2, {1, 2})], "complete", "all stored and closed: 2 lines of 1 producer"),
        ([record(0, set())], "complete", "all stored and closed: 0 lines of 1 producer"),
        (
            [record(2, {1, 2}), record(1, {1}, closed=False)],
            "unproven",
            "not closed, so that more may come: 1 of 2 producers",
        ),
        ([record(3, {1, 3})], "incomplete", "1 line missing"),
        ([record(3, {1}, named_lost=1)], "incomplete", "2 lines missing, 1 of them named as lost by the agent"),
        ([record(3, {1, 2, 3}, dead=1)], "incomplete", "1 line in the dead letters"),
        ([record(9, {1, 2, 3}, dead=2, closed=False)], "incomplete", "6 lines missing; 2 lines in the dead letters"),
    ],
)
def test_verdict_says_why_when_a_meeting_is_judged(records: list[ProducerRecord], verdict: str, reason: str) -> None:
    """Something missing outweighs a producer that is open; dead letters count as missing from the transcript."""
    integrity = prove("standup", records)
    assert (integrity.verdict, integrity.reason) == (verdict, reason)
    assert len(integrity.producers) == len(records)


def test_nothing_is_complete_until_it_has_been_quiet() -> None:
    """By the producer that closed last; what is missing is named all the same."""
    long_closed, just_closed = record(2, {1, 2}), replace(record(1, {1}), closed_for_seconds=3.0)
    assert prove("standup", [long_closed], quiet_seconds=30).verdict == "complete"
    integrity = prove("standup", [long_closed, just_closed], quiet_seconds=30)
    assert integrity.verdict == "unproven"
    assert "30 s have not passed" in integrity.reason
    assert all(producer.closed for producer in integrity.producers)
    assert prove("standup", [replace(just_closed, declared=4)], quiet_seconds=30).verdict == "incomplete"
