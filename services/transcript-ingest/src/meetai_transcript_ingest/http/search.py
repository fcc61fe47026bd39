"""`GET /v1/search`: find what was said, in all meetings or, for a participant, in their own.

Owns the path, its parameters and their errors. Must not know how a query is read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.params import FromQuery, QueryParameter

from meetai_contracts.api import SearchPage
from meetai_contracts.approval import Zoned
from meetai_contracts.transcript import MAX_SPEAKER_BYTES
from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.paths import id_from_query
from meetai_servicekit.problems import (
    InvalidFieldError,
    UnavailableError,
    from_invalid_field,
    from_unavailable,
    problem_response,
)
from meetai_transcript_ingest.domain.errors import BadCursorError, BadQueryError, TooSlowError, TryLaterError
from meetai_transcript_ingest.domain.search import DEFAULT_HITS, MAX_HITS, SearchFilter
from meetai_transcript_ingest.http.access import may_search
from meetai_transcript_ingest.http.specification import PROBLEMS
from meetai_transcript_ingest.ports import ParticipantTokens
from meetai_transcript_ingest.usecases.search import SearchTranscripts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,6}")
"""A language range (RFC 4647, section 2.1) without the wildcard; the longest is 62 characters."""

_INSTANT: Final = {"format": "date-time"}
Query = Annotated[
    str | None,
    QueryParameter(
        description='Words, all of which a line must hold; `"a phrase"`; `-word` or `-"a phrase"` to leave lines out; `OR` between '
        "alternatives. At most 256 characters. A word is found in all its forms where the line's language is known."
    ),
]
MeetingId = Annotated[
    str | None,
    QueryParameter(
        name="meetingId", description="In this meeting alone. A participant's token opens its own, and needs this."
    ),
]
Language = Annotated[
    str | None, QueryParameter(description="A BCP 47 language range: `en` finds lines in `en` and in `en-GB`.")
]
Speaker = Annotated[str | None, QueryParameter(description="The identity of the participant who said it.")]
From = Annotated[
    str | None,
    QueryParameter(
        name="from", description="RFC 3339: begun then or later. `+` is sent as `%2B`.", schema_extra=_INSTANT
    ),
]
To = Annotated[str | None, QueryParameter(name="to", description="RFC 3339: begun before.", schema_extra=_INSTANT)]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_HITS)]


def search_routes(
    search_transcripts: SearchTranscripts, *, keys: ServiceKeys, participants: ParticipantTokens | None
) -> Router:
    """The one route."""

    @get(
        "/",
        summary="Find what was said",
        description="The newest lines first. `snippet` is HTML whose only markup is `<mark>`. `next` leads on and is null on the last "
        "page; going on gives every line that is found by then and was begun before those you have, once, and a page may hold "
        "fewer hits than `limit`. Lines are found a moment after they are stored: those whose `committedAt` is before "
        "`indexedThrough` have been looked through, but for those of a transaction that was still open then, 12 s at most.",
        operation_id="SearchTranscripts",
        responses=PROBLEMS,
    )
    async def search(
        *,
        q: Query = None,
        meeting_id: MeetingId = None,
        language: Language = None,
        speaker: Speaker = None,
        begun_from: From = None,
        begun_before: To = None,
        limit: Limit = DEFAULT_HITS,
        cursor: FromQuery[str | None] = None,
    ) -> Response[SearchPage]:
        if q is None:
            raise InvalidFieldError("q", "is required")
        wanted = SearchFilter(
            meeting_id=id_from_query(meeting_id, "meetingId"),
            language=None if language is None else _language(language),
            speaker=None if speaker is None else _speaker(speaker),
            **({} if begun_from is None else {"from_ms": _unix_ms(begun_from, "from")}),
            **({} if begun_before is None else {"to_ms": _unix_ms(begun_before, "to")}),
        )
        page = await search_transcripts(q, wanted, cursor=cursor, limit=limit)
        return Response(page, headers={"Cache-Control": "no-store"})

    return Router(
        "/v1/search",
        route_handlers=[search],
        guards=[may_search(keys, participants)],
        security=[{"bearer": []}],
        tags=["transcripts"],
        exception_handlers={
            BadQueryError: _bad_query,
            BadCursorError: _bad_cursor,
            TooSlowError: _too_slow,
            TryLaterError: _index_away,
        },
    )


def _language(text: str) -> str:
    if _LANGUAGE.fullmatch(text) is None:
        raise InvalidFieldError("language", "must be a BCP 47 language range")
    return text.lower()


def _speaker(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = 0
    if "\0" in text or not 1 <= size <= MAX_SPEAKER_BYTES:
        raise InvalidFieldError("speaker", f"must be 1 to {MAX_SPEAKER_BYTES} bytes of UTF-8 without NUL")
    return text


def _unix_ms(text: str, field: str) -> int:
    """The first millisecond at or after an instant."""
    try:
        instant = msgspec.convert(text, Zoned)
    except msgspec.ValidationError:
        raise InvalidFieldError(field, "must be an RFC 3339 instant with its offset") from None
    since = instant - _EPOCH
    return max(0, (since.days * 86_400 + since.seconds) * 1000 + -(-since.microseconds // 1000))


def _bad_query(request: Request[Any, Any, Any], error: BadQueryError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("q", str(error)))


def _bad_cursor(request: Request[Any, Any, Any], error: BadCursorError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("cursor", str(error)))


def _too_slow(_request: Request[Any, Any, Any], _error: TooSlowError) -> Response[bytes]:
    detail = "The search took too long; narrow it by meeting or time, or try again."
    return problem_response(503, detail, headers={"Retry-After": "5"})


def _index_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The search index"))
