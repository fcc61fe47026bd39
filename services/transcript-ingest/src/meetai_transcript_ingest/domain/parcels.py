"""What is written of an entry: parcels of lines, and dead letters for what can't be.

Owns how a refused write is narrowed down to the line that is to blame. Must not know Redis or PostgreSQL.

Every dead letter's payload is a stream entry's `b` of its own, so that redriving it is putting it on the stream again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from meetai_contracts.transcript import BATCH_VERSION
from meetai_transcript_ingest.domain.producers import Declaration, producer_day
from meetai_transcript_ingest.domain.wire import WireLine

DeadReason = Literal["no_batch", "malformed", "unknown_version", "refused", "conflict"]
"""Why an entry or a line is dead: no field `b`; not what the contract says; a contract of the future; PostgreSQL will never
take it; its id is taken by a line that says something else."""

_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")


class Parcel(Struct, frozen=True):
    """Lines of one entry that are written together, and what their batch says of the producer.

    Attributes:
        lines: May be empty.
        first_seq: Of the lines; 0 where there are none.
        spoken_ms: When the words of the first line, which has waited longest, ended; None where there is none.
    """

    stream: str
    entry_id: str
    declaration: Declaration
    lines: Sequence[WireLine]
    first_seq: int
    spoken_ms: int | None = None


class DeadLetter(Struct, frozen=True):
    """An entry, or one line of it, that can't be stored now.

    Attributes:
        detail: What is wrong, in words, without any of what was said.
        payload: The entry's bytes; of a single line, a batch of that line alone.
        seq: The line, or None for a whole entry.
    """

    stream: str
    entry_id: str
    reason: DeadReason
    detail: str
    payload: bytes
    meeting_id: str | None = None
    producer_id: UUID | None = None
    seq: int | None = None


def in_write_order(parcels: Sequence[Parcel]) -> list[Parcel]:
    """Sort by the table's key. Two writers that insert in opposite orders deadlock (FACTS, PostgreSQL)."""
    return sorted(parcels, key=_write_order)


def halves(parcels: Sequence[Parcel]) -> tuple[tuple[Parcel, ...], tuple[Parcel, ...]] | None:
    """Two smaller writes that together are this one; None for a single line, or for a parcel without lines."""
    if len(parcels) > 1:
        middle = len(parcels) // 2
        return tuple(parcels[:middle]), tuple(parcels[middle:])
    lines = parcels[0].lines
    if len(lines) < 2:
        return None
    middle = len(lines) // 2
    return (with_lines(parcels[0], lines[:middle]),), (with_lines(parcels[0], lines[middle:]),)


def with_lines(parcel: Parcel, lines: Sequence[WireLine]) -> Parcel:
    """The same parcel with other lines."""
    return Parcel(parcel.stream, parcel.entry_id, parcel.declaration, lines, lines[0].seq if lines else 0)


def dead_parcel(parcel: Parcel, reason: DeadReason, detail: str) -> DeadLetter:
    """The dead letter of a parcel that `halves` can't divide."""
    if parcel.lines:
        return dead_line(parcel, parcel.lines[0], reason, detail)
    known = parcel.declaration
    kind: Literal["open", "gap", "close"] = "close" if known.closed else "gap" if known.gaps else "open"
    first, last = known.gaps[0] if kind == "gap" else (0, 0)
    return DeadLetter(
        stream=parcel.stream,
        entry_id=parcel.entry_id,
        reason=reason,
        detail=detail,
        payload=encode_one(known, kind, first, last, ()),
        meeting_id=known.meeting_id,
        producer_id=known.producer_id,
    )


def dead_line(parcel: Parcel, line: WireLine, reason: DeadReason, detail: str) -> DeadLetter:
    """The dead letter of one line."""
    known = parcel.declaration
    return DeadLetter(
        stream=parcel.stream,
        entry_id=parcel.entry_id,
        reason=reason,
        detail=detail,
        payload=encode_one(known, "lines", line.seq, line.seq, (line,)),
        meeting_id=known.meeting_id,
        producer_id=known.producer_id,
        seq=line.seq,
    )


def encode_one(
    known: Declaration,
    kind: Literal["open", "lines", "gap", "close"],
    first: int,
    last: int,
    lines: tuple[WireLine | msgspec.Raw, ...],
) -> bytes:
    """A batch as its elements follow one another on the wire; a line may be as it came."""
    header = (BATCH_VERSION, kind, known.meeting_id, known.room_sid, known.producer_id, first, last, known.declared)
    return _ENCODER.encode((*header, lines))


def _write_order(parcel: Parcel) -> tuple[date, int, int]:
    producer_id = parcel.declaration.producer_id
    return producer_day(producer_id), producer_id.int, parcel.first_seq
