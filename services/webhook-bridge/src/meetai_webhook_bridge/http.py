"""Where LiveKit delivers webhooks, and where a backend asks what became of them.

Owns paths and status codes. Must not know what a webhook says.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from meetai_contracts.api import EventState, LedgerPage
from meetai_servicekit.auth import ServiceKeys, requires_scope, unauthorised
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import InvalidFieldError, UnavailableError
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.ports import Ledger, LedgerQuery
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

MAX_WEBHOOK_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 5.0
"""For a body to arrive; LiveKit's own arrive with the head."""

Limit = Annotated[int, Parameter(ge=1, le=500, description="Most events to return.")]
Cursor = Annotated[str | None, Parameter(max_length=20, description="`next` of the page before.")]
InState = Annotated[EventState | None, Parameter(query="state", description="Only events in this state.")]


def webhook_routes(accept_webhook: AcceptWebhook) -> list[HTTPRouteHandler]:
    """LiveKit's side. Its own signature is the credential."""

    @post(
        ["/webhooks/livekit", "/api/webhooks/livekit"],
        status_code=200,
        summary="Take a webhook from LiveKit",
        description="The body as LiveKit signed it. 200 means that it is stored for good; 503 asks for it again.",
        tags=["webhooks"],
    )
    async def livekit_webhook(request: Request[Any, Any, Any]) -> Response[None]:
        body = await _body(request)
        try:
            await accept_webhook.accept(body, request.headers.get("authorization", ""))
        except ForgedWebhookError:
            raise unauthorised() from None
        except MalformedWebhookError as error:
            raise InvalidFieldError("", "is not a LiveKit webhook") from error
        except StoreAwayError as error:
            raise UnavailableError("the database", retry_after_seconds=1) from error
        return Response(None, status_code=200)

    return [livekit_webhook]


def ledger_routes(ledger: Ledger, keys: ServiceKeys) -> list[HTTPRouteHandler]:
    """A backend's side, for keys with the scope `events:read`."""

    @get(
        "/v1/events",
        guards=[requires_scope(keys, "events:read")],
        summary="List events, newest first",
        security=[{"bearer": []}],
        tags=["ledger"],
    )
    async def list_events(in_state: InState = None, limit: Limit = 100, cursor: Cursor = None) -> LedgerPage:
        return await _page(ledger, LedgerQuery(limit=limit, state=in_state, before=_position(cursor)))

    @get(
        "/v1/meetings/{meeting_id:str}/events",
        guards=[requires_scope(keys, "events:read")],
        summary="List a meeting's events, newest first",
        security=[{"bearer": []}],
        tags=["ledger"],
    )
    async def list_meeting_events(
        meeting_id: str, in_state: InState = None, limit: Limit = 100, cursor: Cursor = None
    ) -> LedgerPage:
        room_name = meeting_id_from_path(meeting_id)
        query = LedgerQuery(limit=limit, state=in_state, meeting_id=room_name, before=_position(cursor))
        return await _page(ledger, query)

    return [list_events, list_meeting_events]


async def _body(request: Request[Any, Any, Any]) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise HTTPException(status_code=408, detail="The body did not arrive in time.") from None


async def _page(ledger: Ledger, query: LedgerQuery) -> LedgerPage:
    try:
        return await ledger.page(query)
    except StoreAwayError as error:
        raise UnavailableError("the database") from error


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and int(cursor) < 2**63):
        raise InvalidFieldError("cursor", "must be `next` of a page of this list")
    return int(cursor)
