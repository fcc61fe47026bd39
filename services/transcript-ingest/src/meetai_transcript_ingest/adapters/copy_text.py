"""Lines in the text format of COPY (PostgreSQL manual, "COPY", File Formats).

Owns the escaping, and the order of columns that `copy_lines` in queries.sql names. This is the hot path: what is the same
for a whole parcel is written once, and text is scanned before it is escaped, because hardly any needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from meetai_contracts.transcript import Speaker
from meetai_transcript_ingest.domain.intake import Parcel
from meetai_transcript_ingest.domain.producers import producer_day

_NULL: Final = "\\N"
_SPECIAL: Final = re.compile(r"[\\\t\n\r]").search
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(parcels: Iterable[Parcel]) -> list[str]:
    """A row a line, each with its newline, in the parcels' order; the position, which goes before it, is still to come."""
    rows: list[str] = []
    speakers: dict[Speaker, str] = {}
    for parcel in parcels:
        known = parcel.declaration
        prefix = f"{producer_day(known.producer_id)}\t{known.producer_id}\t{_escaped(known.meeting_id)}\t{_escaped(known.room_sid)}"
        for line in parcel.lines:
            speaker = speakers.get(line.speaker)
            if speaker is None:
                who = line.speaker
                speaker = speakers[who] = f"{_escaped(who.identity)}\t{_escaped(who.name)}\t{who.kind}"
            text = line.text
            if _SPECIAL(text):
                text = text.translate(_ESCAPES)
            language = _NULL if line.language is None else _escaped(line.language)
            confidence = _NULL if line.confidence is None else line.confidence
            rows.append(
                f"{prefix}\t{line.seq}\t{speaker}\t{text}\t{line.started_ms}\t{line.ended_ms}\t{language}\t{confidence}"
                f"\t{'t' if line.interrupted else 'f'}\n"
            )
    return rows


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _SPECIAL(text) else text
