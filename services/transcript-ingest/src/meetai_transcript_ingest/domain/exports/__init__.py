"""A transcript as a file: which formats there are, and what the file is called.

- `shown_text`: what was said, as a person is shown it.
- `subtitles`: WebVTT and SubRip, timed from the first line.
- `documents`: plain text, Markdown and JSON, by the wall clock.

Every format is written piece by piece, so that a transcript is never whole in memory. Owns nothing of HTTP but the names of
the media types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_transcript_ingest.domain.exports.documents import JsonDocument, MarkdownDocument, TextDocument
from meetai_transcript_ingest.domain.exports.subtitles import SubRip, WebVtt

MAX_NAME_BYTES: Final = 200
"""Of a file's name; file systems take 255, and browsers append ` (1)`."""

_RESERVED: Final = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*]')
"""What Windows, or any other system, doesn't take in a file's name."""


class Renderer(Protocol):
    """One transcript on its way into one file. Has the state that goes from page to page; used once."""

    def head(self) -> bytes:
        """What comes before all lines."""

    def lines(self, lines: Sequence[StoredLine]) -> bytes:
        """The next lines, in reading order."""

    def tail(self) -> bytes:
        """What comes after all lines."""


class ExportFormat(Struct, frozen=True):
    """One kind of file.

    Attributes:
        suffix: Of the file's name, and of the path that gives it.
        media_type: With its character set where the type has that parameter.
        renderer: Makes the writer of one transcript, given its meeting id.
    """

    suffix: str
    title: str
    media_type: str
    renderer: Callable[[str], Renderer]


def file_name(meeting_id: str, suffix: str) -> str:
    """What the export of a meeting is called: safe on every file system, never a path, never hidden or reserved."""
    stem = "transcript-" + _RESERVED.sub("_", meeting_id)
    longest = MAX_NAME_BYTES - len(suffix) - 1
    return f"{stem.encode()[:longest].decode(errors='ignore')}.{suffix}"


FORMATS: Final[Mapping[str, ExportFormat]] = {
    known.suffix: known
    for known in (
        ExportFormat("vtt", "WebVTT subtitles", "text/vtt; charset=utf-8", lambda _: WebVtt()),
        ExportFormat("srt", "SubRip subtitles", "application/x-subrip; charset=utf-8", lambda _: SubRip()),
        ExportFormat("txt", "plain text", "text/plain; charset=utf-8", lambda _: TextDocument()),
        ExportFormat("md", "Markdown", "text/markdown; charset=utf-8", MarkdownDocument),
        ExportFormat("json", "JSON", "application/json", JsonDocument),
    )
}
