"""Lines in the binary format of COPY (PostgreSQL manual, "COPY", File Formats).

Owns the order and the types of the columns that `copy_lines` in queries.sql names. Binary because nothing in it has to be escaped,
and because PostgreSQL reads it with a tenth less work than text (ADR 0024).

This is the hot path: what numbers a row has is packed in one call, what is the same for a whole parcel is written once, and so
is what is the same for a speaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from struct import Struct
from typing import Final

from meetai_transcript_ingest.domain.intake import Parcel
from meetai_transcript_ingest.domain.producers import Declaration, producer_day
from meetai_transcript_ingest.domain.wire import WireSpeaker

BLOCK_BYTES: Final = 64 * 1024
"""What is handed over at once: PostgreSQL works on a block while the next is being written."""

_COLUMNS: Final = 15
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Signature, no flags, no extension."""
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"

# A value is its length in bytes and itself. The columns from commit_position to confidence, and the length of the text.
_numbers: Final = Struct(">h iq iq iq iq i? id i").pack
_numbers_without_confidence: Final = Struct(">h iq iq iq iq i? i i").pack
_day: Final = Struct(">ii").pack
_length: Final = Struct(">i").pack
_POSTGRES_EPOCH: Final = date(2000, 1, 1).toordinal()


def copy_blocks(parcels: Iterable[Parcel], first_positions: Sequence[int]) -> Iterator[bytes]:
    """A whole COPY: a row a line in the parcels' order; each parcel's lines take the positions from its first on."""
    speakers: dict[WireSpeaker, bytes] = {}
    languages: dict[str | None, bytes] = {None: _NULL}
    pieces: list[bytes] = [_HEADER]
    size = 0
    for parcel, first_position in zip(parcels, first_positions, strict=True):
        constant = _constant(parcel.declaration)
        for position, line in enumerate(parcel.lines, first_position):
            who, language, confidence = line.speaker, line.language, line.confidence
            speaker = speakers.get(who)
            if speaker is None:
                speaker = speakers[who] = _text(who.identity) + _text(who.name) + _text(who.kind)
            spoken_in = languages.get(language)
            if spoken_in is None:
                spoken_in = languages[language] = _text(language or "")
            text = line.text.encode()
            started_ms, ended_ms, interrupted = line.started_ms, line.ended_ms, line.interrupted
            if confidence is None:
                numbers = _numbers_without_confidence(
                    _COLUMNS, 8, position, 8, line.seq, 8, started_ms, 8, ended_ms, 1, interrupted, -1, len(text)
                )
            else:
                numbers = _numbers(
                    _COLUMNS,
                    8,
                    position,
                    8,
                    line.seq,
                    8,
                    started_ms,
                    8,
                    ended_ms,
                    1,
                    interrupted,
                    8,
                    confidence,
                    len(text),
                )
            pieces += (numbers, text, speaker, spoken_in, constant)
            size += len(text)
        if size >= BLOCK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    pieces.append(_TRAILER)
    yield b"".join(pieces)


def _constant(known: Declaration) -> bytes:
    """The columns from producer_started to room_sid."""
    day = producer_day(known.producer_id).toordinal() - _POSTGRES_EPOCH
    return _day(4, day) + _bytes(known.producer_id.bytes) + _text(known.meeting_id) + _text(known.room_sid)


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value
