"""WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format") and SubRip, timed from the start of the first line.

People who talk at once have cues that overlap, which both formats allow: each keeps its own times. A line without duration is
shown for a millisecond, because WebVTT wants an end after the start.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from meetai_contracts.api import StoredLine
from meetai_transcript_ingest.domain.exports.shown_text import isolated, speaker_name, text_lines

_WORD_JOINER: Final = "\u2060"
"""Shown as nothing, and enough that a player doesn't take what it is in for markup."""
_COUNTER: Final = re.compile(r"(?<=\n)(?=[-\d])")
"""Where a line of a text might be taken for the number of the next cue."""
_TAG_START: Final = re.compile(r"[<{]")


class _Timed:
    """Times from the start of the first line that was seen."""

    _from_ms: int | None = None

    def _times_ms(self, line: StoredLine) -> tuple[int, int]:
        if self._from_ms is None:
            self._from_ms = line.started_ms
        start_ms = line.started_ms - self._from_ms
        return start_ms, max(line.ended_ms - self._from_ms, start_ms + 1)


class WebVtt(_Timed):
    """Cues with the line's id and the speaker's voice."""

    def head(self) -> bytes:
        """See `Renderer.head`."""
        return b"WEBVTT\n"

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """See `Renderer.lines`."""
        return "".join([self._cue(line) for line in lines]).encode()

    def tail(self) -> bytes:
        """See `Renderer.tail`."""
        return b""

    def _cue(self, line: StoredLine) -> str:
        start_ms, end_ms = self._times_ms(line)
        name = escape(speaker_name(line), quote=False)
        if name.endswith("-"):
            name += " "  # parsers drop it; without it, `--` and the tag's end would be an arrow
        text = escape("\n".join(text_lines(line.text)), quote=False)
        return f"\n{line.id}\n{_stamp(start_ms, '.')} --> {_stamp(end_ms, '.')}\n<v {name}>{text}\n"


class SubRip(_Timed):
    r"""Numbered cues that begin with the speaker's name.

    SubRip has no escapes: what players take for tags (`<i>`, `{\an8}`), a time line (`-->`) or a cue's number is broken up
    by a character that isn't shown.
    """

    def __init__(self) -> None:
        self._number = 0

    def head(self) -> bytes:
        """See `Renderer.head`."""
        return b""

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """See `Renderer.lines`."""
        return "".join([self._cue(line) for line in lines]).encode()

    def tail(self) -> bytes:
        """See `Renderer.tail`."""
        return b""

    def _cue(self, line: StoredLine) -> str:
        self._number += 1
        start_ms, end_ms = self._times_ms(line)
        name = isolated(speaker_name(line))
        text = "\n".join(isolated(part) for part in text_lines(line.text))
        text = _COUNTER.sub(_WORD_JOINER, text)
        words = f"{name}: {text}".rstrip().replace("-->", f"--{_WORD_JOINER}>")
        words = _TAG_START.sub(rf"\g<0>{_WORD_JOINER}", words)
        return f"{self._number}\n{_stamp(start_ms, ',')} --> {_stamp(end_ms, ',')}\n{words}\n\n"


def _stamp(ms: int, point: str) -> str:
    """`HH:MM:SS.mmm`; hours take as many digits as they need."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
