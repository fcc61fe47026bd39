"""Rooms without a server, for tests of what stands on the port. Passes the suite that the real adapter passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from meetai_servicekit.dispatches import Dispatch
from meetai_token.domain.errors import GoneError, RoomsUnavailableError
from meetai_token.domain.rooms import LiveRoom, Present, RoomSetup

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = NEW_YEAR

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class FakeRoom:
    metadata: str
    agents: int = 0
    dispatches: list[tuple[str, Dispatch]] = field(default_factory=list)
    people: list[Present] = field(default_factory=list)


class FakeRooms:
    """Keeps rooms in memory, and every call in `calls`.

    Attributes:
        away: Every call fails.
        broken: Calls of these names fail.
        silent: Every call waits for ever.
        between: Called once in the next call of this name, before it acts; lets a test be the other process in a race.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.rooms: dict[str, FakeRoom] = {}
        self.calls: list[str] = []
        self.away = False
        self.broken: set[str] = set()
        self.silent = False
        self.between: dict[str, Callable[[], None]] = {}
        self._now = now
        self._ids = count(1)

    async def create(self, meeting_id: str, setup: RoomSetup) -> str:
        await self._called("create")
        if meeting_id not in self.rooms:
            self.rooms[meeting_id] = FakeRoom(setup.metadata)
            if setup.agent_name:
                self.add_dispatch(meeting_id, setup.agent_name)
        return self.rooms[meeting_id].metadata

    async def set_metadata(self, meeting_id: str, metadata: str) -> None:
        await self._called("set_metadata")
        self._room(meeting_id).metadata = metadata

    async def has_agent(self, meeting_id: str) -> bool:
        await self._called("has_agent")
        return meeting_id in self.rooms and self.rooms[meeting_id].agents > 0

    async def list_dispatches(self, meeting_id: str, agent_name: str) -> list[Dispatch]:
        await self._called("list_dispatches")
        return [dispatch for name, dispatch in self._room(meeting_id).dispatches if name == agent_name]

    async def dispatch(self, meeting_id: str, agent_name: str) -> Dispatch:
        await self._called("dispatch")
        return self.add_dispatch(meeting_id, agent_name)

    async def withdraw(self, meeting_id: str, dispatch: Dispatch) -> None:
        await self._called("withdraw")
        room = self._room(meeting_id)
        room.dispatches = [each for each in room.dispatches if each[1] != dispatch]

    async def look(self, meeting_id: str) -> LiveRoom | None:
        await self._called("look")
        if meeting_id not in self.rooms:
            return None
        room = self.rooms[meeting_id]
        agents = [Present(f"agent-{number}", "", self._now(), True, True) for number in range(room.agents)]
        return LiveRoom(f"RM_{meeting_id}", self._now(), room.metadata, (*room.people, *agents))

    async def remove(self, meeting_id: str, identity: str) -> None:
        await self._called("remove")
        room = self._room(meeting_id)
        if identity not in [person.identity for person in room.people]:
            raise GoneError("nobody of that identity")
        room.people = [person for person in room.people if person.identity != identity]

    async def end(self, meeting_id: str) -> None:
        await self._called("end")
        self._room(meeting_id)
        del self.rooms[meeting_id]

    def add_dispatch(self, meeting_id: str, agent_name: str) -> Dispatch:
        """What LiveKit does when it is asked for an agent, by whomever."""
        dispatch = Dispatch(created_at=self._now(), id=f"AD_{next(self._ids):04}")
        self.rooms[meeting_id].dispatches.append((agent_name, dispatch))
        return dispatch

    def _room(self, meeting_id: str) -> FakeRoom:
        if meeting_id not in self.rooms:
            raise GoneError("no such room")
        return self.rooms[meeting_id]

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(0)
        if self.silent:
            await asyncio.Event().wait()
        if self.away or name in self.broken:
            raise RoomsUnavailableError("away")
        self.between.pop(name, lambda: None)()
