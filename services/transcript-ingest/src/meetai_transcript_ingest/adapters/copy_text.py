r"""Lines in the text format of COPY (PostgreSQL manual, "COPY", File Formats).

Owns the escaping, and the order of columns that `copy_lines` in queries.sql names. This is the hot path: what is the same
for a whole parcel is written once, and a parcel is written as if nothing in it had to be escaped, which is nearly always so;
it is written again with care if it then holds more tabs, line ends or backslashes (as in \N, null) than were put there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from meetai_transcript_ingest.domain.intake import Parcel
from meetai_transcript_ingest.domain.producers import producer_day

BLOCK_CHARACTERS: Final = 64 * 1024
"""What is handed over at once: PostgreSQL works on a block while the next is being written."""

_NULL: Final = "\\N"
_ENCODE: Final = msgspec.json.Encoder().encode
_TABS: Final = 14
"""Between the columns of one row."""
_SPECIAL: Final = re.compile(r"[\\\t\n\r]").search
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_blocks(parcels: Iterable[Parcel], positions: Sequence[int]) -> Iterator[str]:
    """Whole rows, one a line in the parcels' order, each with its newline and behind its position in its meeting."""
    block: list[str] = []
    size = start = 0
    for parcel in parcels:
        end = start + len(parcel.lines)
        rows = _rows(parcel, positions[start:end])
        start = end
        block.append(rows)
        size += len(rows)
        if size >= BLOCK_CHARACTERS:
            yield "".join(block)
            block, size = [], 0
    if size:
        yield "".join(block)


def _rows(parcel: Parcel, positions: Sequence[int]) -> str:
    known = parcel.declaration
    constant = _constant(known.producer_id, known.meeting_id, known.room_sid)
    rows, nulls = _written(parcel, positions, constant, is_careful=False)
    count = len(positions)
    if (
        rows.count("\t") != count * _TABS
        or rows.count("\n") != count
        or rows.count("\\") != nulls + count * constant.count("\\")
        or "\r" in rows
    ):
        rows, _ = _written(parcel, positions, constant, is_careful=True)
    return rows


@lru_cache(maxsize=1024)  # a producer's batches keep coming; 1,024 of the longest ids are 1 MB
def _constant(producer_id: UUID, meeting_id: str, room_sid: str) -> str:
    return f"{producer_day(producer_id)}\t{producer_id}\t{_escaped(meeting_id)}\t{_escaped(room_sid)}"


def _written(parcel: Parcel, positions: Sequence[int], constant: str, *, is_careful: bool) -> tuple[str, int]:
    """The parcel's rows, and how many nulls are in them."""
    confidences = _numbers([line.confidence for line in parcel.lines])
    nulls = confidences.count(_NULL)
    rows: list[str] = []
    for position, confidence, line in zip(positions, confidences, parcel.lines, strict=True):
        who, text, language = line.speaker, line.text, line.language
        identity, name = who.identity, who.name
        if is_careful:
            identity, name, text = _escaped(identity), _escaped(name), _escaped(text)
            language = language and _escaped(language)
        if language is None:
            language = _NULL
            nulls += 1
        rows.append(
            f"{position}\t{constant}\t{line.seq}\t{identity}\t{name}\t{who.kind}\t{text}\t{line.started_ms}"
            f"\t{line.ended_ms}\t{language}\t{confidence}\t{'t' if line.interrupted else 'f'}\n"
        )
    return "".join(rows), nulls


def _numbers(values: Sequence[float | None]) -> list[str]:
    """Each as the shortest text that is this number again. msgspec's takes a quarter of the time of Python's."""
    if not values:
        return []
    return _ENCODE(values)[1:-1].decode().replace("null", _NULL).split(",")


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _SPECIAL(text) else text
