"""`/livekit/token`: LiveKit's own way of asking, so that any of its client SDKs gets in unmodified (FACTS, Tokens).

`POST` is what `TokenSource.endpoint` of the SDKs speaks, `GET` what the LiveKit Meet example does. Both are the request of
`/v1/meetings/{id}/tokens` in other words. What LiveKit's form has beyond it (metadata, attributes, egress, other agents)
nobody may choose: it is refused by name.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from litestar.types import Scope
from msgspec import Meta, Struct

from meetai_contracts.api import TokenRequest
from meetai_contracts.identifiers import check_id, check_name
from meetai_servicekit.problems import InvalidFieldError
from meetai_token.domain.errors import RefusedError
from meetai_token.domain.policy import Caller
from meetai_token.http.door import MINTING, NOT_STORED, Door
from meetai_token.http.refusals import MINTING_REFUSED

Nothing = Annotated[str, Meta(max_length=0)] | None
NoEntries = Annotated[dict[str, str], Meta(max_length=0)] | None


class AgentAsked(Struct, frozen=True, forbid_unknown_fields=True, rename={"agent_name_": "agentName"}):
    """An agent that the client expects: this service's, by its name."""

    agent_name: str = ""
    agent_name_: str = ""
    metadata: Nothing = None


class RoomConfigAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be asked for of LiveKit's `RoomConfiguration`."""

    agents: Annotated[tuple[AgentAsked, ...], Meta(max_length=1)] = ()


class TokenSourceRequest(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={
        "room_name_": "roomName",
        "participant_name_": "participantName",
        "participant_identity_": "participantIdentity",
    },
):
    """`TokenSourceRequest` of LiveKit's protocol as JSON, everything optional; SDKs write it in snake or in camel case."""

    room_name: str | None = None
    participant_name: str | None = None
    participant_identity: str | None = None
    participant_metadata: Nothing = None
    participant_attributes: NoEntries = None
    room_config: RoomConfigAsked | None = None
    room_name_: str | None = None
    participant_name_: str | None = None
    participant_identity_: str | None = None


class TokenSourceResponse(Struct, frozen=True):
    """`TokenSourceResponse` of LiveKit's protocol."""

    server_url: str
    participant_token: str


class ConnectionDetails(Struct, frozen=True, rename="camel"):
    """What the LiveKit Meet example asks its server for."""

    server_url: str
    room_name: str
    participant_token: str
    participant_name: str


class _Names(Struct, frozen=True):
    """What a request calls the fields that a refusal may name."""

    room: str
    identity: str
    name: str


POSTED: Final = _Names("room_name", "participant_identity", "participant_name")
QUERIED: Final = _Names("roomName", "participantIdentity", "participantName")


def token_source_routes(door: Door, *, agent_name: str) -> list[HTTPRouteHandler]:
    """Both routes; `agent_name` is the one agent that a client may ask for."""

    @post(
        "/livekit/token",
        summary="Let a LiveKit client in",
        description="LiveKit's standard token endpoint: `TokenSource.endpoint` of its client SDKs.",
        **MINTING,
    )
    async def token_source(data: JSONBody[TokenSourceRequest], scope: Scope) -> TokenSourceResponse:
        for agent in data.room_config.agents if data.room_config else ():
            if (agent.agent_name or agent.agent_name_) not in {"", agent_name}:
                raise RefusedError("room_config.agents", "may not be chosen; this meeting's agent comes by itself")
        details = await admit(
            POSTED,
            scope,
            room=data.room_name or data.room_name_,
            identity=data.participant_identity or data.participant_identity_,
            name=data.participant_name or data.participant_name_,
        )
        return TokenSourceResponse(details.server_url, details.participant_token)

    @get(
        "/livekit/token",
        summary="Let LiveKit Meet in",
        description="What the LiveKit Meet example calls, by its `NEXT_PUBLIC_CONN_DETAILS_ENDPOINT`.",
        responses=MINTING_REFUSED,
        tags=["tokens"],
    )
    async def connection_details(
        request: Request[Any, Caller, Any],
        room: Annotated[str | None, QueryParameter(name="roomName")] = None,
        name: Annotated[str | None, QueryParameter(name="participantName")] = None,
        metadata: Annotated[str | None, QueryParameter(name="metadata", max_length=0)] = None,  # noqa: ARG001 - refused
    ) -> Response[ConnectionDetails]:
        try:
            unquote_to_bytes(request.scope["query_string"]).decode()
        except UnicodeDecodeError:  # which would let whoever writes other bytes into one and the same room
            raise InvalidFieldError("query", "must be UTF-8") from None
        for unknown in set(request.query_params) - {"roomName", "participantName", "metadata"}:
            raise InvalidFieldError(unknown[:64], "is not a parameter that can be chosen here")
        return Response(await admit(QUERIED, request.scope, room=room, identity=None, name=name), headers=NOT_STORED)

    async def admit(
        names: _Names, scope: Scope, *, room: str | None, identity: str | None, name: str | None
    ) -> ConnectionDetails:
        """Credentials fill in what the client left out; without one that names a person, a stranger gets a fresh identity."""
        caller: Caller = scope["auth"]
        room = room or caller.meeting_id
        if room is None:
            raise InvalidFieldError(names.room, "is required")
        identity = identity or caller.identity or f"guest-{uuid.uuid4().hex}"
        name = name or caller.display_name or identity
        _check(check_id, room, names.room)
        _check(check_id, identity, names.identity)
        _check(check_name, name, names.name)
        try:
            admission = await door(room, TokenRequest(user_id=identity, user_name=name), scope)
        except RefusedError as error:
            called = {"meetingId": names.room, "userId": names.identity, "userName": names.name}
            raise RefusedError(called.get(error.field, error.field), error.reason) from None
        return ConnectionDetails(
            server_url=door.server_url, room_name=room, participant_token=admission.token, participant_name=name
        )

    return [token_source, connection_details]


def _check(check: Any, value: str, name: str) -> None:
    try:
        check(value, name)
    except ValueError as error:
        raise InvalidFieldError(name, str(error)) from None
