"""The whole transcript as a file: `GET …/transcript.vtt`, `.srt`, `.txt`, `.md` and `.json`."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from meetai_servicekit.paths import meeting_id_from_path
from meetai_transcript_ingest.domain.exports import FORMATS, ExportFormat, file_name
from meetai_transcript_ingest.domain.exports.documents import TranscriptDocument
from meetai_transcript_ingest.http.conditional import (
    ETAG_HEADER,
    NOT_MODIFIED,
    IfNoneMatch,
    caching,
    entity_tag,
    is_known,
    not_modified,
)
from meetai_transcript_ingest.http.specification import ERASED, PROBLEMS
from meetai_transcript_ingest.http.streaming import WRITE_TIMEOUT_SECONDS, PiecewiseResponse
from meetai_transcript_ingest.usecases import ExportTranscript

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_ATTR_CHARACTERS: Final = "!#$&+-.^_`|~"
"""What RFC 5987, section 3.2.1, allows unescaped beside letters and digits."""

_TIMES: Final = {
    "vtt": "Times count from the start of the first line. A cue's id is the line's id, its voice the speaker.",
    "srt": "Times count from the start of the first line. What players would take for tags is broken up by U+2060.",
    "txt": "A line each, in UTC; what was said over several lines goes on indented.",
    "md": "A paragraph each, under a heading for each day, in UTC.",
    "json": "Every field of every line, as in the pages.",
}


def export_routes(export_transcript: ExportTranscript) -> list[HTTPRouteHandler]:
    """A route for each format, below a meeting's path."""
    return [_export_route(known, export_transcript) for known in FORMATS.values()]


def content_disposition(name: str) -> str:
    """`attachment` under a name, for clients that know RFC 5987 and for those that don't (RFC 6266, appendix D)."""
    ascii_name = _UNSAFE.sub("_", name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARACTERS)}"


def _export_route(known: ExportFormat, export_transcript: ExportTranscript) -> HTTPRouteHandler:
    @get(
        f"/transcript.{known.suffix}",
        operation_id=f"ExportTranscript{known.suffix.capitalize()}",
        summary=f"Export what was said as {known.title}",
        description=f"{_TIMES[known.suffix]} Lines are in the order in which they were spoken, each once. The file is "
        "written while it is sent: one that the service can't finish ends without the last chunk, which HTTP clients "
        "report as an error.",
        response_headers=[ETAG_HEADER],
        responses={200: _specification(known), 304: NOT_MODIFIED, **PROBLEMS, **ERASED},
    )
    async def export(meeting_id: FromPath[str], if_none_match: IfNoneMatch = None) -> Response[Any]:
        meeting = meeting_id_from_path(meeting_id)
        tag = entity_tag(await export_transcript.version(meeting))
        if is_known(tag, if_none_match):
            return not_modified(tag)
        pieces = await export_transcript(meeting, known)
        headers = {
            **caching(tag),
            "Content-Disposition": content_disposition(file_name(meeting, known.suffix)),
            "X-Content-Type-Options": "nosniff",
        }
        return PiecewiseResponse(
            pieces, media_type=known.media_type, headers=headers, timeout_seconds=WRITE_TIMEOUT_SECONDS
        )

    return export


def _specification(known: ExportFormat) -> ResponseSpec:
    container: Any = TranscriptDocument if known.suffix == "json" else str
    media_type = known.media_type.partition(";")[0]
    return ResponseSpec(container, generate_examples=False, description="The file", media_type=media_type)
