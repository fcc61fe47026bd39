"""Where LiveKit delivers webhooks.

Owns paths and status codes. Must not know what a webhook says.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from litestar.types import Scope

from meetai_servicekit.auth import authorization, unauthorised
from meetai_servicekit.direct import BODY_SECONDS, called_directly
from meetai_servicekit.http import told
from meetai_servicekit.problems import InvalidFieldError, UnavailableError, described_problems, problem_response
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

MAX_WEBHOOK_BYTES: Final = 256 * 1024
RETRY_AFTER_SECONDS: Final = 1
"""As LiveKit waits before its second attempt (FACTS, webhooks)."""


def webhook_routes(accept_webhook: AcceptWebhook) -> list[HTTPRouteHandler]:
    """LiveKit's side. Its own signature is the credential."""

    @post(
        ["/webhooks/livekit", "/api/webhooks/livekit"],
        status_code=200,
        middleware=[called_directly],
        summary="Take a webhook from LiveKit",
        description="The body as LiveKit signed it. 200 means that it is stored for good; 503 asks for it again.",
        responses=described_problems(
            {
                400: "Signed, and yet not a webhook of LiveKit",
                401: "Not signed by a key that is known, not for this body, or not for now",
                413: f"More than {MAX_WEBHOOK_BYTES // 1024} KiB",
                503: f"The database is away, or the body didn't arrive within {BODY_SECONDS:.0f} s; try again after "
                "`Retry-After` seconds",
            }
        ),
        exception_handlers={408: _body_late},
        tags=["webhooks"],
    )
    async def livekit_webhook(body: RawBody, scope: Scope) -> None:
        try:
            await accept_webhook.accept(body, authorization(scope))
        except ForgedWebhookError:
            raise unauthorised() from None
        except MalformedWebhookError as error:
            raise InvalidFieldError("", "is not a LiveKit webhook") from error
        except StoreAwayError as error:
            raise UnavailableError("the database", RETRY_AFTER_SECONDS) from error
        told(scope)

    return [livekit_webhook]


def _body_late(_request: Request[Any, Any, Any], _error: HTTPException) -> Response[bytes]:
    """503 instead of 408, which LiveKit would take for delivered (FACTS, webhooks)."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem_response(503, "The body did not arrive in time; try again.", headers=headers)
