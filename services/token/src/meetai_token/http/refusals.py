"""How each error of the domain is answered, and what the OpenAPI document says of it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response

from meetai_contracts.api import FieldError
from meetai_servicekit.problems import (
    InvalidFieldError,
    UnavailableError,
    described_problems,
    from_invalid_field,
    from_unavailable,
    problem_response,
)
from meetai_token.domain.errors import (
    CallersUnavailableError,
    MetadataTooLargeError,
    NotLiveError,
    RefusedError,
    RoomsUnavailableError,
)
from meetai_token.domain.limits import WINDOW_SECONDS, TooManyRequestsError

BAD_INPUT: Final = {400: "Something in the request is not acceptable; `errors` names it"}
NOT_LIVE: Final = {404: "No such meeting is live, or nobody of this identity is in it"}
TOO_LARGE: Final = {413: "The body is larger than 32 KiB"}
ALWAYS: Final = {
    401: "No service key and no identity provider's token that is valid now",
    403: "The caller may not ask for this; `errors` names the field where one is refused",
    429: "More requests than the caller's quota; try again after `Retry-After` seconds",
    503: "LiveKit or the identity provider is away; try again after `Retry-After` seconds",
}

MINTING_REFUSED: Final = described_problems({**BAD_INPUT, **TOO_LARGE, **ALWAYS})
RULING: Final = described_problems({**BAD_INPUT, **NOT_LIVE, **ALWAYS})


def _refused(_request: Request[Any, Any, Any], error: RefusedError) -> Response[bytes]:
    if not error.field:
        return problem_response(403, error.reason)
    errors = (FieldError(field=error.field, message=error.reason),)
    return problem_response(403, "The caller may not ask for this.", errors=errors)


def _too_large(request: Request[Any, Any, Any], error: MetadataTooLargeError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("agent", f"makes room metadata that {error}"))


def _not_live(_request: Request[Any, Any, Any], _error: NotLiveError) -> Response[bytes]:
    return problem_response(404, f"{NOT_LIVE[404]}.")


def _livekit_away(request: Request[Any, Any, Any], _error: RoomsUnavailableError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("LiveKit"))


def _provider_away(request: Request[Any, Any, Any], _error: CallersUnavailableError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The identity provider"))


def _too_many(_request: Request[Any, Any, Any], error: TooManyRequestsError) -> Response[bytes]:
    """RateLimit fields as draft-ietf-httpapi-ratelimit-headers has them."""
    quota = error.quota
    headers = {
        "Retry-After": str(error.wait_seconds),
        "RateLimit-Policy": f'"{quota.name}";q={quota.per_minute};w={WINDOW_SECONDS}',
        "RateLimit": f'"{quota.name}";r=0;t={error.wait_seconds}',
    }
    return problem_response(429, f"This {quota.name} has made too many requests; try again later.", headers=headers)


EXCEPTION_HANDLERS: Final[dict[Any, Any]] = {
    RefusedError: _refused,
    MetadataTooLargeError: _too_large,
    NotLiveError: _not_live,
    RoomsUnavailableError: _livekit_away,
    CallersUnavailableError: _provider_away,
    TooManyRequestsError: _too_many,
}
