"""`DELETE /v1/meetings/{meeting_id}`: a meeting is forgotten. For keys with `transcripts:erase` alone."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, Router, delete
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from meetai_servicekit.auth import ServiceKey, ServiceKeys, requires_scope
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import UnavailableError, from_unavailable, keyed_problems
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.usecases.erase import EraseMeeting

ERASE_SCOPE: Final = "transcripts:erase"


def erasure_routes(erase: EraseMeeting, *, keys: ServiceKeys) -> Router:
    """The one route."""

    @delete(
        "/",
        status_code=204,
        summary="Forget a meeting",
        description="Everything that was said in it, dead letters included, is unreadable from the answer on, and what its "
        "agents still bring isn't stored. 204: it is all removed. 202: removal goes on by itself, also across restarts. May "
        "be repeated; the answer is the same for a meeting that nobody has heard of. Who asked, when, and how much was "
        "removed is kept. The id may be used again: agents that start afterwards are stored as usual.",
        responses={
            202: ResponseSpec(None, description="Nobody can read it any more; removal goes on by itself"),
            204: ResponseSpec(None, description="It is all removed"),
            **keyed_problems(ERASE_SCOPE, {}),
        },
        security=[{"bearer": []}],
    )
    async def erase_meeting(meeting_id: FromPath[str], request: Request[Any, ServiceKey, Any]) -> Response[None]:
        is_gone = await erase(meeting_id_from_path(meeting_id), actor=request.auth.name)
        return Response(None, status_code=204 if is_gone else 202)

    return Router(
        "/v1/meetings/{meeting_id:str}",
        route_handlers=[erase_meeting],
        guards=[requires_scope(keys, ERASE_SCOPE)],
        tags=["transcripts"],
        exception_handlers={TryLaterError: _store_away},
    )


def _store_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The transcript store"))
