"""Is a transcript all that was said: the verdict, and which lines are missing.

Owns the rules of `Integrity` (meetai_contracts.api). Works on ranges, so that its cost doesn't grow with the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from meetai_contracts.api import Integrity, ProducerIntegrity, Verdict

MAX_RANGES: Final = 1_000
"""Missing ranges listed for one producer, at most; 20 kB of JSON. Which are beyond shows once these are there."""

Range = tuple[int, int]


class ProducerRecord(Struct, frozen=True):
    """What the store knows of one producer.

    Attributes:
        declared: The highest `seq` that it is known to have given.
        stored, dead: How many of its lines are in the store, and in the dead-letter table.
        present: How many are in either, or erased.
        present_ranges: The first of these ranges, ascending and apart, at most `MAX_RANGES + 1`.
        named_lost: How many it named as lost and nobody has brought since.
        closed_for_seconds: How long ago it was closed; None while it isn't.
        erased: How many were removed on request, or came after that.
    """

    producer_id: UUID
    room_sid: str
    declared: int
    stored: int
    dead: int
    present: int
    present_ranges: tuple[Range, ...]
    named_lost: int
    closed_for_seconds: float | None
    erased: int = 0

    @property
    def closed(self) -> bool:
        """It has said that it has ended, or somebody has said so for it."""
        return self.closed_for_seconds is not None


def missing_ranges(declared: int, present: Sequence[Range]) -> tuple[Range, ...]:
    """The ranges of 1 to `declared` that are not in `present`, which is ascending and apart; the first `MAX_RANGES`."""
    missing: list[Range] = []
    expected = 1
    for first, last in present:
        if first > expected:
            missing.append((expected, first - 1))
        expected = last + 1
    if expected <= declared and len(present) <= MAX_RANGES:  # else the ranges were cut, and more are present
        missing.append((expected, declared))
    return tuple(missing[:MAX_RANGES])


def prove(meeting_id: str, records: Sequence[ProducerRecord], *, quiet_seconds: float = 0.0) -> Integrity:
    """Judge a meeting by all its producers.

    Something missing outweighs a producer that is still open. A dead letter counts as missing from the transcript, though
    not as lost: it waits to be redriven. Until all have been closed for `quiet_seconds` another may open: a killed agent is closed by
    whoever finds its spool, and its meeting goes on.
    """
    missing = sum(record.declared - record.present for record in records)
    named_lost = sum(record.named_lost for record in records)
    dead = sum(record.dead for record in records)
    still_open = sum(not record.closed for record in records)
    closed_for_seconds = min((record.closed_for_seconds or 0.0 for record in records), default=0.0)
    verdict: Verdict
    if missing or dead:
        faults = []
        if missing:
            named = f", {named_lost} of them named as lost by the agent" if named_lost else ""
            faults.append(f"{_count(missing, 'line')} missing{named}")
        if dead:
            faults.append(f"{_count(dead, 'line')} in the dead letters")
        verdict, reason = "incomplete", "; ".join(faults)
    elif not records:
        verdict, reason = "unproven", "no producer has been heard of"
    elif still_open:
        verdict, reason = (
            "unproven",
            f"not closed, so that more may come: {still_open} of {_count(len(records), 'producer')}",
        )
    elif closed_for_seconds < quiet_seconds:
        verdict, reason = (
            "unproven",
            f"all stored and closed, but {quiet_seconds:g} s have not passed in which another producer may open",
        )
    else:
        declared = sum(record.declared for record in records)
        erased = sum(record.erased for record in records)
        of_these = f", {erased} of them erased on request" if erased else ""
        verdict, reason = (
            "complete",
            f"all stored and closed: {_count(declared, 'line')} of {_count(len(records), 'producer')}{of_these}",
        )
    return Integrity(
        meeting_id=meeting_id, verdict=verdict, reason=reason, producers=tuple(_shown(record) for record in records)
    )


def _shown(record: ProducerRecord) -> ProducerIntegrity:
    return ProducerIntegrity(
        producer_id=record.producer_id,
        room_sid=record.room_sid,
        declared=record.declared,
        stored=record.stored,
        dead=record.dead,
        erased=record.erased,
        missing=missing_ranges(record.declared, record.present_ranges),
        closed=record.closed,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
