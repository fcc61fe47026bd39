"""From a stream entry to what is written of it.

Owns how an entry is unpacked, and what of a malformed one can be stored. Must not know Redis or PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from meetai_contracts.codec import ContractError, decode_msgpack
from meetai_contracts.identifiers import MAX_ID_BYTES, clean_text
from meetai_contracts.transcript import (
    BATCH_FIELD,
    MAX_BATCH_BYTES,
    MAX_BATCH_LINES,
    TRACE_FIELD,
    TranscriptLine,
    UnknownVersionError,
    decode_batch,
)
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.parcels import DeadLetter, DeadReason, Parcel, encode_one
from meetai_transcript_ingest.domain.producers import Declaration, producer_of
from meetai_transcript_ingest.domain.wire import LaidOut, LayOut, WireLine, read_batch

MAX_PAYLOAD_BYTES: Final = 4 * MAX_BATCH_BYTES
"""A larger payload is cut: it is over the contract's limit and can't be redriven, and a bytea has to fit into memory."""

MAX_DEAD_LINES: Final = 20
"""An entry with more bad lines than this has one letter for all of them: a kilobyte can be 1,000. Those of 1,000 entries, 20,000
letters, are committed in 1 s on two busy cores; a transaction may take 12 s."""

_FIELD: Final = BATCH_FIELD.encode()
_TRACE_FIELD: Final = TRACE_FIELD.encode()
_decode_line: Final = msgspec.msgpack.Decoder(TranscriptLine).decode


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
        return Unpacked(letters=(_whole(arrival, "no_batch", detail, msgspec.msgpack.encode(arrival.fields)),))
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


def _salvage(arrival: Arrival, data: bytes) -> Unpacked | None:
    """Line by line, where the batch is sound but for some of its lines; None where it isn't.

    The letter of an entry that has too many bad lines holds the good ones as well: redriven, they are found to be stored.
    Its bad lines count as missing, not as dead.
    """
    try:
        loose = decode_msgpack(data, _LooseBatch, max_bytes=MAX_BATCH_BYTES)
        first, last, count = loose.first_seq, loose.last_seq, len(loose.lines)
        known = Declaration(loose.producer_id, loose.meeting_id, loose.room_sid, declared=loose.high_water)
        decode_batch(encode_one(known, "gap", first, last, ()))  # the same range without lines: is the rest sound?
    except ContractError:
        return None
    if count != last - first + 1 or count > MAX_BATCH_LINES:
        return None
    lines: list[WireLine] = []
    letters: list[DeadLetter] = []
    for seq, raw in enumerate(loose.lines, first):
        if len(letters) > MAX_DEAD_LINES and not _is_line(raw):
            continue
        payload = encode_one(known, "lines", seq, seq, (raw,))
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
