"""Lines in the binary format of COPY (PostgreSQL manual, "COPY", File Formats).

Owns the order and the types of the columns that `copy_lines` in queries.sql names. Binary because nothing in it has to be escaped,
and because PostgreSQL reads it with a tenth less work than text (ADR 0024).

This is the hot path: what numbers a row has is packed in one call, what is the same for a whole parcel is written once, and so
is what is the same for a speaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from struct import Struct
from typing import Final

from meetai_contracts.transcript import Source
from meetai_transcript_ingest.domain.parcels import Parcel
from meetai_transcript_ingest.domain.producers import Declaration, producer_day
from meetai_transcript_ingest.domain.wire import LaidOut, WireLine, WireSpeaker

BLOCK_PIECES: Final = 900
"""What is handed over at once, three pieces a row: 300 lines, about 64 KB. PostgreSQL works on a block while the next is being
written. Where all lines are of the greatest length it is 6 MB, a batch more than 300 of them."""

_COLUMNS: Final = 16
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Signature, no flags, no extension."""
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"

# A value is its length in bytes and itself. First the count of columns and commit_position, which is known only in the commit.
_place: Final = Struct(">h iq").pack
# The columns from seq to confidence, and the length of the text that follows.
_numbers: Final = Struct(">iq iq iq i? id i").pack
_numbers_without_confidence: Final = Struct(">iq iq iq i? i i").pack
_day: Final = Struct(">ii").pack
_length: Final = Struct(">i").pack
_POSTGRES_EPOCH: Final = date(2000, 1, 1).toordinal()


def lay_out(lines: Iterable[WireLine]) -> list[bytes]:
    """A row a line: the columns from seq to source. `copy_blocks` adds those that are known later, or the same for a parcel."""
    rows: list[bytes] = []
    for line in lines:
        text, confidence = line.text.encode(), line.confidence
        seq, started_ms, ended_ms, interrupted = line.seq, line.started_ms, line.ended_ms, line.interrupted
        if confidence is None:
            numbers = _numbers_without_confidence(8, seq, 8, started_ms, 8, ended_ms, 1, interrupted, -1, len(text))
        else:
            numbers = _numbers(8, seq, 8, started_ms, 8, ended_ms, 1, interrupted, 8, confidence, len(text))
        rows.append(b"".join((numbers, text, _speaker(line.speaker), _heard(line.language, line.source))))
    return rows


def copy_blocks(parcels: Iterable[Parcel], first_positions: Sequence[int]) -> Iterator[bytes]:
    """A whole COPY: a row a line in the parcels' order; each parcel's lines take the positions from its first on."""
    pieces: list[bytes] = [_HEADER]
    for parcel, first_position in zip(parcels, first_positions, strict=True):
        lines = parcel.lines
        rows = lines.rows if isinstance(lines, LaidOut) else lay_out(lines)
        constant = _constant(parcel.declaration)
        for position, row in enumerate(rows, first_position):
            pieces += (_place(_COLUMNS, 8, position), row, constant)
        if len(pieces) >= BLOCK_PIECES:
            yield b"".join(pieces)
            pieces = []
    pieces.append(_TRAILER)
    yield b"".join(pieces)


@lru_cache(maxsize=4096)  # of everyone who talks in a thousand meetings; 6 MB of the longest names
def _speaker(who: WireSpeaker) -> bytes:
    return _text(who.identity) + _text(who.name) + _text(who.kind)


@lru_cache(maxsize=256)
def _heard(language: str | None, source: Source) -> bytes:
    """In which language, and from what: NULL is the microphone, which costs a stored line nothing."""
    return (_NULL if language is None else _text(language)) + (_NULL if source == "microphone" else _text(source))


def _constant(known: Declaration) -> bytes:
    """The columns from producer_started to room_sid."""
    day = producer_day(known.producer_id).toordinal() - _POSTGRES_EPOCH
    return _day(4, day) + _bytes(known.producer_id.bytes) + _text(known.meeting_id) + _text(known.room_sid)


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value
