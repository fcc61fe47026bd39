"""`/v1/meetings/{meeting_id}`: let somebody in, see who is there, remove somebody, end it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.types import Scope

from meetai_contracts.api import MeetingState, PresentPerson, TokenRequest, TokenResponse
from meetai_servicekit.paths import id_from_path, meeting_id_from_path
from meetai_token.domain.policy import Caller
from meetai_token.domain.rooms import LiveRoom, read_metadata
from meetai_token.http.door import MINTING, NOT_STORED, Door
from meetai_token.http.refusals import RULING
from meetai_token.usecases import RuleMeeting


def meeting_routes(door: Door, rule_meeting: RuleMeeting) -> list[HTTPRouteHandler]:
    """The four routes."""

    @post(
        "/v1/meetings/{meeting_id:str}/tokens",
        summary="Let one person into one meeting",
        description="Makes the room right, with its metadata and its agent, and gives a token to join it.",
        **MINTING,
    )
    async def create_token(meeting_id: FromPath[str], data: JSONBody[TokenRequest], scope: Scope) -> TokenResponse:
        room_name = meeting_id_from_path(meeting_id)
        admission = await door(room_name, data, scope)
        return TokenResponse(
            server_url=door.server_url,
            participant_token=admission.token,
            room_name=room_name,
            expires_at=admission.expires_at,
        )

    @get("/v1/meetings/{meeting_id:str}", summary="Who is in a live meeting", responses=RULING, tags=["meetings"])
    async def see_meeting(meeting_id: FromPath[str], request: Request[Any, Caller, Any]) -> Response[MeetingState]:
        name = meeting_id_from_path(meeting_id)
        return Response(_state(name, await rule_meeting.see(name, request.auth)), headers=NOT_STORED)

    @delete(
        "/v1/meetings/{meeting_id:str}",
        summary="End a meeting",
        description="Everybody leaves; `livekit/room_finished` follows.",
        responses=RULING,
        tags=["meetings"],
    )
    async def end_meeting(meeting_id: FromPath[str], request: Request[Any, Caller, Any]) -> None:
        await rule_meeting.end(meeting_id_from_path(meeting_id), request.auth)

    @delete(
        "/v1/meetings/{meeting_id:str}/participants/{identity:str}",
        summary="Remove somebody from a meeting",
        description="They leave at once; a token of theirs that is still valid lets them in again.",
        responses=RULING,
        tags=["meetings"],
    )
    async def remove_participant(
        meeting_id: FromPath[str], identity: FromPath[str], request: Request[Any, Caller, Any]
    ) -> None:
        await rule_meeting.remove(meeting_id_from_path(meeting_id), id_from_path(identity, "identity"), request.auth)

    return [create_token, see_meeting, end_meeting, remove_participant]


def _state(meeting_id: str, room: LiveRoom) -> MeetingState:
    metadata = read_metadata(room.metadata)
    people = [each for each in room.present if not each.is_agent]
    return MeetingState(
        meeting_id=meeting_id,
        room_sid=room.sid,
        started_at=room.started_at,
        agent_present=len(people) < len(room.present),
        participants=tuple(
            PresentPerson(identity=each.identity, name=each.name, joined_at=each.joined_at, publishing=each.publishing)
            for each in people
        ),
        meeting_name=metadata.meeting_data.name if metadata else None,
    )
