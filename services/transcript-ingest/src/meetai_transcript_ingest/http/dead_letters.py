"""What could not be stored: `GET /v1/dead-letters`, one of them with its content, `POST …/redrive`, `DELETE`.

Owns paths and status codes. For keys with `transcripts:admin` alone: a letter's content is what people said.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, delete, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter

from meetai_contracts.dead_letters import DeadLetterContent, DeadLetterPage, Redriven, RedriveRequest
from meetai_servicekit.auth import ServiceKey, ServiceKeys, requires_scope
from meetai_servicekit.http import DEFAULT_MAX_BODY_BYTES
from meetai_servicekit.paths import id_from_query
from meetai_servicekit.problems import (
    InvalidFieldError,
    UnavailableError,
    from_http_exception,
    from_invalid_field,
    from_unavailable,
    keyed_problems,
)
from meetai_transcript_ingest.domain.errors import BadCursorError, LetterGoneError, TryLaterError
from meetai_transcript_ingest.domain.letters import MAX_LETTERS, LetterFilter, letter_number
from meetai_transcript_ingest.usecases.redrive import InspectDeadLetters, Redrive

ADMIN_SCOPE: Final = "transcripts:admin"
DEFAULT_LETTERS: Final = 100
_PROBLEMS: Final = keyed_problems(ADMIN_SCOPE, {})
_PROBLEMS_OF_ONE: Final = keyed_problems(ADMIN_SCOPE, {404: "There is no such dead letter"})
_PROBLEMS_OF_MANY: Final = keyed_problems(ADMIN_SCOPE, {413: f"More than {DEFAULT_MAX_BODY_BYTES // 1024} KiB"})
_NO_STORE: Final = {"Cache-Control": "no-store"}


def dead_letter_routes(inspect: InspectDeadLetters, redrive: Redrive, *, keys: ServiceKeys) -> Router:
    """Everything under `/v1/dead-letters`."""

    @get(
        "/",
        summary="List dead letters, newest first",
        description="Metadata alone, never what was said. `next` leads on to older ones and is null on the last page.",
        responses=_PROBLEMS,
    )
    async def list_letters(
        reason: FromQuery[str | None] = None,
        meeting_id: Annotated[str | None, QueryParameter(name="meetingId")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LETTERS)] = DEFAULT_LETTERS,
        cursor: FromQuery[str | None] = None,
    ) -> Response[DeadLetterPage]:
        wanted = LetterFilter(reason=id_from_query(reason, "reason"), meeting_id=id_from_query(meeting_id, "meetingId"))
        page = await inspect.page(wanted, before=_before(cursor), limit=limit)
        return Response(page, headers=_NO_STORE)

    @get(
        "/{letter_id:str}",
        summary="Look into one dead letter",
        description="Its batch where it can be read by the code as it is now, else its bytes in base64. Holds what was said.",
        responses=_PROBLEMS_OF_ONE,
    )
    async def show_letter(letter_id: FromPath[str]) -> Response[DeadLetterContent]:
        return Response(await inspect.content(_number(letter_id)), headers=_NO_STORE)

    @post(
        "/{letter_id:str}/redrive",
        status_code=200,
        summary="Store one dead letter after all",
        description="Read with the code as it is now. What it holds is stored and the letter removed in one transaction; a "
        "letter that still can't be stored stays, with its new reason and one attempt more.",
        responses=_PROBLEMS_OF_ONE,
    )
    async def redrive_letter(letter_id: FromPath[str], request: Request[Any, ServiceKey, Any]) -> Redriven:
        return await redrive.one(_number(letter_id), actor=request.auth.name)

    @post(
        "/redrive",
        status_code=200,
        summary="Store many dead letters after all",
        description="Those that the request names, newest first, each in a transaction of its own. Ends after 8 s at the "
        "latest; while `next` isn't null there are more, and the same request with it as `cursor` goes on.",
        responses=_PROBLEMS_OF_MANY,
    )
    async def redrive_letters(data: RedriveRequest, request: Request[Any, ServiceKey, Any]) -> Redriven:
        return await redrive.many(
            LetterFilter(
                reason=data.reason,
                meeting_id=data.meeting_id,
                died_from=data.died_from,
                died_before=data.died_before,
            ),
            before=_before(data.cursor),
            limit=data.limit,
            actor=request.auth.name,
            discard_conflicts=data.discard_conflicts,
        )

    @delete(
        "/{letter_id:str}",
        status_code=204,
        summary="Discard a dead letter",
        description="What it holds is gone; that it was discarded, and by whom, is kept.",
        responses=_PROBLEMS_OF_ONE,
    )
    async def discard_letter(letter_id: FromPath[str], request: Request[Any, ServiceKey, Any]) -> None:
        await redrive.discard(_number(letter_id), actor=request.auth.name)

    return Router(
        "/v1/dead-letters",
        route_handlers=[list_letters, show_letter, redrive_letter, redrive_letters, discard_letter],
        guards=[requires_scope(keys, ADMIN_SCOPE)],
        security=[{"bearer": []}],
        tags=["dead letters"],
        exception_handlers={
            BadCursorError: _bad_cursor,
            LetterGoneError: _gone,
            TryLaterError: _store_away,
        },
    )


def _before(cursor: str | None) -> int | None:
    return None if cursor is None else letter_number(cursor)


def _number(segment: str) -> int:
    try:
        return letter_number(segment)
    except BadCursorError:
        raise LetterGoneError("no letter has such an id") from None


def _bad_cursor(request: Request[Any, Any, Any], error: BadCursorError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("cursor", str(error)))


def _gone(request: Request[Any, Any, Any], _error: LetterGoneError) -> Response[bytes]:
    return from_http_exception(request, NotFoundException(detail="There is no such dead letter."))


def _store_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The transcript store"))
