"""How a transcript is read over HTTP: everything under `/v1/meetings/{meeting_id}`; and, beside it, what isn't reading.

- `access`: who may read.
- `transcript`: pages of lines, and the integrity.
- `exports`: the whole transcript as a file.
- `conditional`: answers that a client has already.
- `live`: the transcript as it comes.
- `specification`: how a route fails, for the OpenAPI document.
- `streaming`: responses that are written piece by piece, to clients that keep up.

- `search`: lines by their words, under `/v1/search`.
- `erasure`: `DELETE` of a meeting.
- `summary`: what a meeting came to.
- `dead_letters`: what could not be stored, under `/v1/dead-letters`.

Owns paths, status codes and headers. Must not decide what is stored or removed.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.problems import (
    InvalidFieldError,
    UnavailableError,
    from_invalid_field,
    from_unavailable,
    problem_response,
)
from meetai_transcript_ingest.domain.errors import BadCursorError, ErasedError, TryLaterError
from meetai_transcript_ingest.http.access import may_read
from meetai_transcript_ingest.http.exports import export_routes
from meetai_transcript_ingest.http.live import live_routes
from meetai_transcript_ingest.http.transcript import transcript_routes
from meetai_transcript_ingest.ports import ParticipantTokens
from meetai_transcript_ingest.usecases import ExportTranscript, ProveTranscript, ReadTranscript
from meetai_transcript_ingest.usecases.follow import FollowTranscript


def routes(
    read_transcript: ReadTranscript,
    prove_transcript: ProveTranscript,
    export_transcript: ExportTranscript,
    follow_transcript: FollowTranscript,
    *,
    keys: ServiceKeys,
    participants: ParticipantTokens | None,
) -> Router:
    """This service's own routes; without `participants` service keys alone open them."""
    return Router(
        "/v1/meetings/{meeting_id:str}",
        route_handlers=[
            *transcript_routes(read_transcript, prove_transcript),
            *export_routes(export_transcript),
            *live_routes(follow_transcript),
        ],
        guards=[may_read(keys, participants)],
        security=[{"bearer": []}],
        tags=["transcripts"],
        exception_handlers={BadCursorError: _bad_cursor, ErasedError: _erased, TryLaterError: _store_away},
    )


def _bad_cursor(request: Request[Any, Any, Any], error: BadCursorError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("cursor", str(error)))


def _erased(_request: Request[Any, Any, Any], _error: ErasedError) -> Response[bytes]:
    return problem_response(410, "This meeting was erased on request.")


def _store_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The transcript store"))
