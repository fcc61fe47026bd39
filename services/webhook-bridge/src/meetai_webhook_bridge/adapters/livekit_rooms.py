"""LiveKit's rooms, by its server API, for whoever looks after them.

Owns the calls. Must not judge what a room lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final

from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import CreateRoomRequest, ListParticipantsRequest, ListRoomsRequest
from prometheus_client import CollectorRegistry

from meetai_servicekit.livekit import LiveKitServer, Refusals, instant
from meetai_webhook_bridge.domain.errors import LiveKitAwayError, NodeSilentError, RoomGoneError
from meetai_webhook_bridge.ports import ListedRoom

CALL_TIMEOUT_SECONDS: Final = 5.0
"""Longer than the 3 s after which LiveKit says that a room's node doesn't answer (FACTS): a timeout of ours would prove nothing."""


class LiveKitRooms(LiveKitServer):
    """Keeps the promise of the port `Rooms`."""

    def __init__(self, *, url: str, api_key: str, api_secret: str, registry: CollectorRegistry) -> None:
        super().__init__(
            url=url,
            api_key=api_key,
            api_secret=api_secret,
            registry=registry,
            refusals=Refusals(
                away=LiveKitAwayError,
                by_status={HTTPStatus.NOT_FOUND: RoomGoneError, HTTPStatus.SERVICE_UNAVAILABLE: NodeSilentError},
            ),
            call_timeout_seconds=CALL_TIMEOUT_SECONDS,
        )

    async def list_rooms(self) -> Sequence[ListedRoom]:
        """All that are listed."""
        answer = await self.call("list_rooms", self.api.room.list_rooms(ListRoomsRequest()))
        return [
            ListedRoom(
                sid=room.sid,
                name=room.name,
                started_at=instant(room.creation_time_ms or room.creation_time * 1000),
                metadata=room.metadata,
                people=room.num_participants,
            )
            for room in answer.rooms
        ]

    async def check_answers(self, name: str) -> None:
        """Return when the room's node answers: `list_dispatch` is routed to it, where `list_participants` is not."""
        await self.call("list_dispatch", self.api.agent_dispatch.list_dispatch(name))

    async def agents_joined_at(self, name: str) -> Sequence[datetime]:
        """When each agent that is listed as a participant joined."""
        request = ListParticipantsRequest(room=name)
        answer = await self.call("list_participants", self.api.room.list_participants(request))
        return [
            instant(participant.joined_at_ms or participant.joined_at * 1000)
            for participant in answer.participants
            if participant.kind == ParticipantInfo.Kind.AGENT
        ]

    async def adopt(self, name: str) -> None:
        """Have a room whose node has died taken over by another: `create_room` leaves it as it is, and elsewhere (FACTS)."""
        await self.call("create_room", self.api.room.create_room(CreateRoomRequest(name=name)))
