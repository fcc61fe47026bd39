"""Who can be asked, in a real room."""

from __future__ import annotations

import pytest
from tests.integration.agent.approval_room import SECONDS, Room, livekit, room, unopened
from tests.integration.agent.approvers import Approver, agent_room
from tests.unit.agent.participants_suite import Meeting, ParticipantsSuite
from tests.waiting import until

from meetai_agent.adapters.room_participants import RoomParticipants

__all__ = ["livekit", "room", "unopened"]


class RealMeeting:
    """A meeting in a real room."""

    def __init__(self, room: Room) -> None:
        self.participants = room.participants
        self._room = room
        self._people: dict[str, Approver] = {}

    async def join(self, identity: str, name: str) -> None:
        self._people[identity] = await self._room.with_person(identity, name=name)

    async def leave(self, identity: str) -> None:
        await self._people[identity].leave()


class TestRoomParticipants(ParticipantsSuite):
    """The participants of a real room."""

    @pytest.fixture
    async def meeting(self, room: Room) -> Meeting:
        return RealMeeting(room)


async def test_other_agents_cannot_be_asked(room: Room) -> None:
    """A person's yes is a person's."""
    async with agent_room(room.url, room.name, identity="agent-2") as other:
        await until(lambda: "agent" in other.remote_participants, SECONDS)
        assert RoomParticipants(other).people() == []
        assert RoomParticipants(other).stay_of("agent") is None
