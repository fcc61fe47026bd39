"""Plain text, Markdown (CommonMark) and JSON, by the wall clock in UTC.

In the first two no text can pass for another line: what goes on after a line break is indented, or belongs to the same
paragraph. JSON has every field of every line, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec
from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_transcript_ingest.domain.exports.shown_text import isolated, speaker_name, text_lines, wall_clock

_INDENT: Final = "\n    "
_PUNCTUATION: Final = re.compile(r"[\\`*_\[\]<>&|~#$]")
"""Whatever CommonMark, or GitHub's and its tables and formulas, may take for markup anywhere in a line."""
_BLOCK_START: Final = re.compile(r"^([-+=]|\d+(?=[.)]))")
"""What begins a list, a rule or a heading's underline at the start of a line."""


class TranscriptDocument(Struct, frozen=True, rename="camel"):
    """The JSON export, whole: for those who read it."""

    meeting_id: str
    lines: tuple[StoredLine, ...]


class TextDocument:
    """`[2026-11-23 10:00:01 UTC] Zoë: …`, a line each."""

    def head(self) -> bytes:
        """See `Renderer.head`."""
        return b""

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """See `Renderer.lines`."""
        return "".join([self._entry(line) for line in lines]).encode()

    def tail(self) -> bytes:
        """See `Renderer.tail`."""
        return b""

    def _entry(self, line: StoredLine) -> str:
        text = _INDENT.join(isolated(part) for part in text_lines(line.text))
        return f"[{wall_clock(line.started_ms):%Y-%m-%d %H:%M:%S} UTC] {isolated(speaker_name(line))}: {text}\n"


class MarkdownDocument:
    """A heading a day, a paragraph a line."""

    def __init__(self, meeting_id: str) -> None:
        self._meeting_id = meeting_id
        self._day: date | None = None

    def head(self) -> bytes:
        """See `Renderer.head`."""
        return f"# Transcript of {_escaped(isolated(self._meeting_id))}\n".encode()

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """See `Renderer.lines`."""
        return "".join([self._paragraph(line) for line in lines]).encode()

    def tail(self) -> bytes:
        """See `Renderer.tail`."""
        return b""

    def _paragraph(self, line: StoredLine) -> str:
        at = wall_clock(line.started_ms)
        heading = ""
        if at.date() != self._day:
            self._day = at.date()
            heading = f"\n## {at:%Y-%m-%d} (UTC)\n"
        text = "\\\n".join(_escaped(isolated(part)) for part in text_lines(line.text))
        return f"{heading}\n**{at:%H:%M:%S} {_escaped(isolated(speaker_name(line)))}:** {text}\n"


class JsonDocument:
    """One object, a line of it each line."""

    def __init__(self, meeting_id: str) -> None:
        self._meeting_id = meeting_id
        self._encoder = msgspec.json.Encoder()
        self._empty = True

    def head(self) -> bytes:
        """See `Renderer.head`."""
        return b'{"meetingId":' + self._encoder.encode(self._meeting_id) + b',"lines":['

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """See `Renderer.lines`."""
        if not lines:
            return b""
        first, self._empty = self._empty, False
        return (b"\n" if first else b",\n") + b",\n".join([self._encoder.encode(line) for line in lines])

    def tail(self) -> bytes:
        """See `Renderer.tail`."""
        return b"]}\n" if self._empty else b"\n]}\n"


def _escaped(text: str) -> str:
    """Text of one line that CommonMark shows as it is."""
    return _BLOCK_START.sub(_harmless, _PUNCTUATION.sub(r"\\\g<0>", text))


def _harmless(start: re.Match[str]) -> str:
    return f"{start[1]}\\" if start[1].isdecimal() else f"\\{start[1]}"
