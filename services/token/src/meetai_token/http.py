"""How a backend asks: `POST /v1/meetings/{meeting_id}/tokens`.

Owns paths, status codes and who may call. Must not decide what a role may do.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.types import Guard
from prometheus_client import CollectorRegistry, Counter

from meetai_contracts.api import TokenRequest, TokenResponse
from meetai_servicekit.auth import ServiceKey, ServiceKeys, bearer_token, unauthorised
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import InvalidFieldError, UnavailableError
from meetai_token.domain import MetadataTooLargeError, RoleRefusedError, RoomsUnavailableError
from meetai_token.usecases import AdmitPerson


def routes(
    admit_person: AdmitPerson, *, keys: ServiceKeys, server_url: str, registry: CollectorRegistry
) -> list[HTTPRouteHandler]:
    """This service's own routes; `server_url` is where the people admitted reach LiveKit."""
    minted = Counter("meetai_tokens_minted", "Tokens minted.", ("role",), registry=registry)

    @post(
        "/v1/meetings/{meeting_id:str}/tokens",
        guards=[known_caller(keys)],
        summary="Let one person into one meeting",
        description="Makes the room right, with its metadata and its agent, and gives a token to join it.",
        security=[{"bearer": []}],
        tags=["tokens"],
    )
    async def create_token(
        meeting_id: FromPath[str], data: JSONBody[TokenRequest], request: Request[Any, ServiceKey, Any]
    ) -> Response[TokenResponse]:
        caller = request.auth
        room_name = meeting_id_from_path(meeting_id)
        try:
            admission = await admit_person(room_name, data, caller=caller.name, scopes=caller.scopes)
        except RoleRefusedError as error:
            raise PermissionDeniedException(detail=_refusal(error)) from error
        except MetadataTooLargeError as error:
            raise InvalidFieldError("agent", f"makes room metadata that {error}") from error
        except RoomsUnavailableError as error:
            raise UnavailableError("LiveKit") from error
        minted.labels(admission.role).inc()
        body = TokenResponse(
            server_url=server_url,
            participant_token=admission.token,
            room_name=room_name,
            expires_at=admission.expires_at,
        )
        return Response(body, headers={"Cache-Control": "no-store"})

    return [create_token]


def known_caller(keys: ServiceKeys) -> Guard:
    """A guard: 401 without a known key. What the key may do is for the policy to say."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        key = keys.holder_of(bearer_token(connection))
        if key is None:
            raise unauthorised()
        connection.scope["auth"] = key

    return guard


def _refusal(error: RoleRefusedError) -> str:
    if error.highest is None:
        return "This key may not give any role: it lacks a scope tokens:host, tokens:participant or tokens:viewer."
    return f"This key may not give the role {error.role}; the highest it may give is {error.highest}."
