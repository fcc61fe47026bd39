"""LiveKit's rooms, by its server API.

Owns the calls that a meeting's door needs. Must not decide what a room should be like.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    ListParticipantsRequest,
    ListRoomsRequest,
    ListRoomsResponse,
    RoomParticipantIdentity,
)
from prometheus_client import CollectorRegistry

from meetai_servicekit.livekit import KeyPair, LiveKitServer, Refusals, instant
from meetai_token.domain.errors import GoneError, RoomsUnavailableError
from meetai_token.domain.rooms import LiveRoom, Present, RoomSetup

CALL_TIMEOUT_SECONDS: Final = 1.5
"""One call. They take 1-5 ms; a node that has died lets routed calls wait 3 s (FACTS, LiveKit server)."""

NO_ROOM: Final = "\0"
"""No meeting id holds a control character, so no room has this name."""


class _KeyRefusedError(RoomsUnavailableError):
    """LiveKit doesn't know the key, or its secret is another."""


class LiveKitRooms(LiveKitServer):
    """The rooms of one LiveKit server. What a use case calls first is tried with either key pair; the rest follows it."""

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        api_secret: str,
        registry: CollectorRegistry,
        next_key_pair: KeyPair | None = None,
    ) -> None:
        super().__init__(
            url=url,
            api_key=api_key,
            api_secret=api_secret,
            next_key_pair=next_key_pair,
            registry=registry,
            refusals=Refusals(
                away=RoomsUnavailableError,
                by_status={HTTPStatus.NOT_FOUND: GoneError, HTTPStatus.UNAUTHORIZED: _KeyRefusedError},
            ),
            call_timeout_seconds=CALL_TIMEOUT_SECONDS,
        )

    async def create(self, meeting_id: str, setup: RoomSetup) -> str:
        """Make the room unless it is live; returns the metadata it has. A live room is left as it is."""
        agents = [RoomAgentDispatch(agent_name=setup.agent_name)] if setup.agent_name else []
        request = CreateRoomRequest(name=meeting_id, metadata=setup.metadata, agents=agents)
        room = await self.with_either_key(lambda: self.call("create_room", self.api.room.create_room(request)))
        return room.metadata

    async def has_agent(self, meeting_id: str) -> bool:
        """Whether an agent is among the participants."""
        request = ListParticipantsRequest(room=meeting_id)
        answer = await self.call("list_participants", self.api.room.list_participants(request))
        return any(participant.kind == ParticipantInfo.Kind.AGENT for participant in answer.participants)

    async def look(self, meeting_id: str) -> LiveRoom | None:
        """Who is in the room, those who came first first; None if there is no such room.

        LiveKit lists rooms and participants of a dead node for ever (FACTS), so a call that is routed to the room's node goes
        along: where nobody answers that, `RoomsUnavailableError` is the truth.
        """
        listed = await self._list(meeting_id)
        if not listed.rooms:
            return None
        try:
            request = ListParticipantsRequest(room=meeting_id)
            answer, _ = await asyncio.gather(
                self.call("list_participants", self.api.room.list_participants(request)),
                self.call("list_dispatch", self.api.agent_dispatch.list_dispatch(meeting_id)),
            )
        except GoneError:  # it ended between the two calls
            return None
        (room,) = listed.rooms
        present = sorted(map(_present, answer.participants), key=lambda each: (each.joined_at, each.identity))
        return LiveRoom(room.sid, instant(room.creation_time_ms), room.metadata, tuple(present))

    async def remove(self, meeting_id: str, identity: str) -> None:
        """Make somebody leave. Raises `GoneError` if they aren't there."""
        request = RoomParticipantIdentity(room=meeting_id, identity=identity)
        await self.with_either_key(lambda: self.call("remove_participant", self.api.room.remove_participant(request)))

    async def end(self, meeting_id: str) -> None:
        """Make everybody leave, and the room with them. Raises `GoneError` if there is no such room.

        `create_room` before it adopts a room whose node has died, without which `delete_room` would wait for that node.
        """
        listed = await self._list(meeting_id)
        if not listed.rooms:
            raise GoneError("no such room")
        await self.call("create_room", self.api.room.create_room(CreateRoomRequest(name=meeting_id)))
        await self.call("delete_room", self.api.room.delete_room(DeleteRoomRequest(room=meeting_id)))

    async def check(self) -> None:
        """Whether LiveKit answers and takes our key; asks for a room that can't be."""
        await self._list(NO_ROOM)

    async def _list(self, meeting_id: str) -> ListRoomsResponse:
        request = ListRoomsRequest(names=[meeting_id])
        return await self.with_either_key(lambda: self.call("list_rooms", self.api.room.list_rooms(request)))


def _present(found: ParticipantInfo) -> Present:
    return Present(
        identity=found.identity,
        name=found.name,
        joined_at=instant(found.joined_at_ms),
        is_agent=found.kind == ParticipantInfo.Kind.AGENT,
        publishing=found.is_publisher,
    )
