"""From a stream entry to what is written: parcels of lines, and dead letters for what can't be.

Owns how an entry is unpacked and how a refused write is narrowed down. Must not know Redis or PostgreSQL.

Every dead letter's payload is a stream entry's `b` of its own, so that redriving it is putting it on the stream again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from meetai_contracts.codec import ContractError, decode_msgpack
from meetai_contracts.identifiers import MAX_ID_BYTES, clean_text
from meetai_contracts.transcript import (
    BATCH_FIELD,
    BATCH_VERSION,
    MAX_BATCH_BYTES,
    MAX_BATCH_LINES,
    TRACE_FIELD,
    TranscriptLine,
    UnknownVersionError,
    decode_batch,
)
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.producers import Declaration, producer_day, producer_of
from meetai_transcript_ingest.domain.wire import LaidOut, LayOut, WireLine, read_batch

DeadReason = Literal["no_batch", "malformed", "unknown_version", "refused", "conflict"]
"""Why an entry or a line is dead: no field `b`; not what the contract says; a contract of the future; PostgreSQL will never
take it; its id is taken by a line that says something else."""

MAX_PAYLOAD_BYTES: Final = 4 * MAX_BATCH_BYTES
"""A larger payload is cut: it is over the contract's limit and can't be redriven, and a bytea has to fit into memory."""

MAX_DEAD_LINES: Final = 20
"""An entry with more bad lines than this has one letter for all of them: a kilobyte can be 1,000. Those of 1,000 entries, 20,000
letters, are committed in 1 s on two busy cores; a transaction may take 12 s."""

_FIELD: Final = BATCH_FIELD.encode()
_TRACE_FIELD: Final = TRACE_FIELD.encode()
_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_decode_line: Final = msgspec.msgpack.Decoder(TranscriptLine).decode


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


class Unpacked(Struct, frozen=True):
    """What one entry holds."""

    parcels: tuple[Parcel, ...] = ()
    letters: tuple[DeadLetter, ...] = ()


class Delivery(Struct, frozen=True):
    """A set of entries, unpacked: what is stored together and then acknowledged.

    Attributes:
        traceparents: Of the spans that sent them, as they came.
    """

    entry_ids: tuple[str, ...]
    parcels: tuple[Parcel, ...]
    letters: tuple[DeadLetter, ...]
    traceparents: tuple[bytes, ...] = ()


class _LooseBatch(Struct, frozen=True, array_like=True):
    """A batch whose lines have not been looked at."""

    v: Literal[1]
    kind: Literal["lines"]
    meeting_id: str
    room_sid: str
    producer_id: UUID
    first_seq: int
    last_seq: int
    high_water: int
    lines: tuple[msgspec.Raw, ...]


def unpack_all(arrivals: Sequence[Arrival]) -> Delivery:
    """Open a set of entries."""
    return delivery_of(arrivals, [unpack(arrival) for arrival in arrivals])


def delivery_of(arrivals: Sequence[Arrival], unpacked: Sequence[Unpacked]) -> Delivery:
    """A set of entries that have been opened."""
    return Delivery(
        tuple([arrival.entry_id for arrival in arrivals]),
        tuple([parcel for one in unpacked for parcel in one.parcels]),
        tuple([letter for one in unpacked for letter in one.letters]),
        tuple([arrival.fields[_TRACE_FIELD] for arrival in arrivals if _TRACE_FIELD in arrival.fields]),
    )


def unpack(arrival: Arrival, lay_out: LayOut | None = None) -> Unpacked:
    """Open one entry: its lines, and a dead letter for whatever in it isn't one.

    `lay_out` makes the rows of `LaidOut` lines at once; without it the store lays them out when it writes them.
    """
    data = arrival.fields.get(_FIELD)
    if data is None:
        detail = f"the entry has no field {BATCH_FIELD}"
        return Unpacked(letters=(_whole(arrival, "no_batch", detail, _ENCODER.encode(arrival.fields)),))
    try:
        batch = read_batch(data)
    except UnknownVersionError as error:
        return Unpacked(letters=(_whole(arrival, "unknown_version", str(error), data),))
    except ContractError as error:
        return _salvage(arrival, data) or Unpacked(letters=(_whole(arrival, "malformed", str(error), data),))
    gaps = ((batch.first_seq, batch.last_seq),) if batch.kind == "gap" else ()
    declaration = Declaration(
        producer_id=producer_of(batch.producer_id),
        meeting_id=batch.meeting_id,
        room_sid=batch.room_sid,
        declared=batch.high_water,
        opened=batch.kind == "open",
        closed=batch.kind == "close",
        gaps=gaps,
    )
    lines = LaidOut(data, lay_out(batch.lines)) if lay_out else batch.lines
    spoken_ms = batch.lines[0].ended_ms if batch.lines else None
    return Unpacked((Parcel(arrival.stream, arrival.entry_id, declaration, lines, batch.first_seq, spoken_ms),))


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
        payload=_encode_one(known, kind, first, last, ()),
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
        payload=_encode_one(known, "lines", line.seq, line.seq, (line,)),
        meeting_id=known.meeting_id,
        producer_id=known.producer_id,
        seq=line.seq,
    )


def _write_order(parcel: Parcel) -> tuple[date, int, int]:
    producer_id = parcel.declaration.producer_id
    return producer_day(producer_id), producer_id.int, parcel.first_seq


def _salvage(arrival: Arrival, data: bytes) -> Unpacked | None:
    """Line by line, where the batch is sound but for some of its lines; None where it isn't.

    The letter of an entry that has too many bad lines holds the good ones as well: redriven, they are found to be stored.
    Its bad lines count as missing, not as dead.
    """
    try:
        loose = decode_msgpack(data, _LooseBatch, max_bytes=MAX_BATCH_BYTES)
        first, last, count = loose.first_seq, loose.last_seq, len(loose.lines)
        known = Declaration(loose.producer_id, loose.meeting_id, loose.room_sid, declared=loose.high_water)
        decode_batch(_encode_one(known, "gap", first, last, ()))  # the same range without lines: is the rest sound?
    except ContractError:
        return None
    if count != last - first + 1 or count > MAX_BATCH_LINES:
        return None
    lines: list[WireLine] = []
    letters: list[DeadLetter] = []
    for seq, raw in enumerate(loose.lines, first):
        if len(letters) > MAX_DEAD_LINES and not _is_line(raw):
            continue
        payload = _encode_one(known, "lines", seq, seq, (raw,))
        try:
            lines.extend(read_batch(payload).lines)
        except ContractError as error:
            if len(letters) <= MAX_DEAD_LINES:  # one more says that they are too many
                letters.append(_malformed(arrival, known, str(error), payload, seq))
    if len(letters) > MAX_DEAD_LINES:
        detail = f"{count - len(lines)} of its {count} lines are malformed"
        letters = [_malformed(arrival, known, detail, data, None)]
    parcel = Parcel(arrival.stream, arrival.entry_id, known, tuple(lines), lines[0].seq if lines else 0)
    return Unpacked(parcels=(parcel,), letters=tuple(letters))


def _is_line(raw: msgspec.Raw) -> bool:
    """Whether it is worth reading in its batch, which takes six times as long where it fails."""
    try:
        _decode_line(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _malformed(arrival: Arrival, known: Declaration, detail: str, payload: bytes, seq: int | None) -> DeadLetter:
    return DeadLetter(
        stream=arrival.stream,
        entry_id=arrival.entry_id,
        reason="malformed",
        detail=clean_text(detail),
        payload=payload,
        meeting_id=known.meeting_id,
        producer_id=known.producer_id,
        seq=seq,
    )


def _whole(arrival: Arrival, reason: DeadReason, detail: str, payload: bytes) -> DeadLetter:
    meeting_id, producer_id = _attributed(payload)
    return DeadLetter(
        stream=arrival.stream,
        entry_id=arrival.entry_id,
        reason=reason,
        detail=clean_text(detail),
        payload=payload[:MAX_PAYLOAD_BYTES],
        meeting_id=meeting_id,
        producer_id=producer_id,
    )


def _attributed(payload: bytes) -> tuple[str | None, UUID | None]:
    """The meeting and the producer that an unreadable batch seems to name, so that it is found when they are meant.

    Every version has them at the same places of the array: fields are only ever appended.
    """
    try:
        elements = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    if not isinstance(elements, list) or len(elements) < 5:
        return None, None
    meeting_id, producer_id = elements[2], elements[4]
    return (
        meeting_id
        if isinstance(meeting_id, str) and "\0" not in meeting_id and len(meeting_id) <= MAX_ID_BYTES
        else None,
        UUID(bytes=producer_id) if isinstance(producer_id, bytes) and len(producer_id) == 16 else None,
    )


def _encode_one(
    known: Declaration,
    kind: Literal["open", "lines", "gap", "close"],
    first: int,
    last: int,
    lines: tuple[WireLine | msgspec.Raw, ...],
) -> bytes:
    """A batch as its elements follow one another on the wire; a line may be as it came."""
    header = (BATCH_VERSION, kind, known.meeting_id, known.room_sid, known.producer_id, first, last, known.declared)
    return _ENCODER.encode((*header, lines))
