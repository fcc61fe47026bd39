"""`DELETE /v1/meetings/{id}`: what people said or are called is forgotten. For keys with `events:erase` alone."""

from __future__ import annotations

from typing import Any, Final

import structlog
from litestar import Request, Response, Router, delete
from litestar.params import FromPath

from meetai_servicekit.auth import ServiceKey, ServiceKeys, requires_scope
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import UnavailableError, from_unavailable, keyed_problems
from meetai_webhook_bridge.domain.errors import StoreAwayError
from meetai_webhook_bridge.ports import Erasure

ERASE_SCOPE: Final = "events:erase"

log = structlog.get_logger()


def erasure_routes(erasure: Erasure, keys: ServiceKeys) -> Router:
    """The one route."""

    @delete(
        "/",
        status_code=204,
        summary="Forget what a meeting's events say",
        description="Identities, and what was decided in it, are removed from its webhooks and events; ids, times and states stay in the "
        "ledger. An event with somebody's words that Inngest hasn't taken yet is not delivered any more. May be repeated; the answer is the same "
        "for a meeting that nobody has heard of. End the meeting first: what comes later is kept.",
        responses=keyed_problems(ERASE_SCOPE, {}),
        security=[{"bearer": []}],
    )
    async def erase_meeting(meeting_id: FromPath[str], request: Request[Any, ServiceKey, Any]) -> None:
        meeting = meeting_id_from_path(meeting_id)
        counts = await erasure.erase(meeting)
        log.info("meeting_erased", meeting_id=meeting, actor=request.auth.name, **counts)

    return Router(
        "/v1/meetings/{meeting_id:str}",
        route_handlers=[erase_meeting],
        guards=[requires_scope(keys, ERASE_SCOPE)],
        tags=["ledger"],
        exception_handlers={StoreAwayError: _store_away},
    )


def _store_away(request: Request[Any, Any, Any], _error: StoreAwayError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The ledger"))
