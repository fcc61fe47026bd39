"""How a transcript is read: `GET /v1/meetings/{meeting_id}/transcript` and `…/integrity`.

Owns paths, status codes and who may call. Must not write anything.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import Parameter

from meetai_contracts.api import Integrity, TranscriptPage
from meetai_servicekit.auth import ServiceKeys, requires_scope
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import InvalidFieldError, UnavailableError, from_invalid_field, from_unavailable
from meetai_transcript_ingest.domain.errors import BadCursorError, TryLaterError
from meetai_transcript_ingest.domain.paging import DEFAULT_PAGE_LINES, MAX_PAGE_LINES
from meetai_transcript_ingest.usecases import ProveTranscript, ReadTranscript

READ_SCOPE = "transcripts:read"


def routes(read_transcript: ReadTranscript, prove_transcript: ProveTranscript, *, keys: ServiceKeys) -> Router:
    """This service's own routes."""

    @get(
        "/transcript",
        summary="Read what was said",
        description="Lines in the order in which they were spoken. `next` leads on to the next page and is null on the "
        "last. Going on gives every line that is stored by then and sorts after the cursor, once; a line that is stored "
        "later but was spoken earlier is found by reading again from the start. A meeting that nobody has heard of has "
        "no lines.",
    )
    async def transcript(
        meeting_id: str,
        cursor: str | None = None,
        limit: Annotated[int, Parameter(ge=1, le=MAX_PAGE_LINES)] = DEFAULT_PAGE_LINES,
    ) -> Response[TranscriptPage]:
        page = await read_transcript(meeting_id_from_path(meeting_id), cursor=cursor, limit=limit)
        return Response(page, headers={"Cache-Control": "no-store"})

    @get(
        "/integrity",
        summary="Is it all that was said?",
        description="The verdict by what every producer (an agent's job) declared. A meeting that nobody has heard of is "
        "`unproven` rather than 404: whether its first line is still on its way can't be known, and the question has an "
        "answer all the same.",
    )
    async def integrity(meeting_id: str) -> Response[Integrity]:
        verdict = await prove_transcript(meeting_id_from_path(meeting_id))
        return Response(verdict, headers={"Cache-Control": "no-store"})

    return Router(
        "/v1/meetings/{meeting_id:str}",
        route_handlers=[transcript, integrity],
        guards=[requires_scope(keys, READ_SCOPE)],
        security=[{"bearer": []}],
        tags=["transcripts"],
        exception_handlers={BadCursorError: _bad_cursor, TryLaterError: _store_away},
    )


def _bad_cursor(request: Request[Any, Any, Any], error: BadCursorError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("cursor", str(error)))


def _store_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The transcript store"))
