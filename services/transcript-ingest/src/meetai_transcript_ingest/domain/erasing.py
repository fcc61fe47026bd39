"""Which producers an erasure covers: those that had started when it was asked for.

Owns the tombstone's rule. A meeting id may be used again afterwards; its new producers are not covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, with_lines
from meetai_transcript_ingest.domain.producers import started_ms

CLOCK_SKEW_MS: Final = 5_000
"""How far a producer's clock may be ahead. NTP keeps machines within 100 ms; a virtual machine that was just resumed may take
seconds. Who uses a meeting id again within that time of its erasure has the new lines erased as well, and is told so."""


class Tombstone(Struct, frozen=True):
    """What remains of an erased meeting.

    Attributes:
        erased_ms: When, Unix milliseconds.
        producers: Known then, and covered whatever their ids say.
    """

    erased_ms: int
    producers: frozenset[UUID] = frozenset()

    def covers(self, producer_id: UUID | None) -> bool:
        """Whether what this producer says is erased.

        One that isn't known, or whose id tells no time, is covered: what may not be kept weighs more than what might be.
        """
        if producer_id is None or producer_id in self.producers:
            return True
        since_ms = started_ms(producer_id)
        return since_ms is None or since_ms <= self.erased_ms + CLOCK_SKEW_MS


class Spared(Struct, frozen=True):
    """A write without what is erased.

    Attributes:
        parcels, letters: What remains; a parcel without its lines still says what it says of its producer.
        erased: Numbers of the lines that were left out, by meeting and producer.
        lines: How many these are.
    """

    parcels: Sequence[Parcel]
    letters: Sequence[DeadLetter]
    erased: Mapping[tuple[str, UUID], Sequence[int]]
    lines: int


def spare(parcels: Sequence[Parcel], letters: Sequence[DeadLetter], tombstones: Mapping[str, Tombstone]) -> Spared:
    """Take what is erased out of a write."""
    erased: dict[tuple[str, UUID], list[int]] = {}
    kept_parcels: list[Parcel] = []
    lines = 0
    for parcel in parcels:
        about = parcel.declaration
        tombstone = tombstones.get(about.meeting_id)
        if tombstone is None or not tombstone.covers(about.producer_id):
            kept_parcels.append(parcel)
            continue
        kept_parcels.append(with_lines(parcel, ()))
        erased.setdefault((about.meeting_id, about.producer_id), []).extend(line.seq for line in parcel.lines)
        lines += len(parcel.lines)
    kept_letters: list[DeadLetter] = []
    for letter in letters:
        meeting_id = letter.meeting_id
        if meeting_id not in tombstones or meeting_id is None or not tombstones[meeting_id].covers(letter.producer_id):
            kept_letters.append(letter)
        elif letter.producer_id is not None and letter.seq is not None:
            erased.setdefault((meeting_id, letter.producer_id), []).append(letter.seq)
            lines += 1
    return Spared(kept_parcels, kept_letters, {known: seqs for known, seqs in erased.items() if seqs}, lines)
