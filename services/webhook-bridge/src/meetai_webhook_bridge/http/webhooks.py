"""Where LiveKit delivers webhooks.

Owns paths and status codes. Must not know what a webhook says.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import Request, Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from meetai_servicekit.auth import unauthorised
from meetai_servicekit.problems import InvalidFieldError, UnavailableError
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

MAX_WEBHOOK_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 5.0
"""For a body to arrive; LiveKit's own arrive with the head."""


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


async def _body(request: Request[Any, Any, Any]) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise HTTPException(status_code=408, detail="The body did not arrive in time.") from None
