"""LiveKit's rooms in memory, with its ways to lie: dead nodes' rooms that stay listed, and ghosts among participants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec.structs import replace
from tests.unit.webhook_bridge.fakes import FakeClock

from meetai_servicekit.dispatches import Dispatch
from meetai_webhook_bridge.domain.errors import LiveKitAwayError, NodeSilentError, RoomGoneError
from meetai_webhook_bridge.ports import ListedRoom


class FakeRooms:
    """The port `Rooms`.

    Attributes:
        meanwhile: What happens elsewhere while the rooms are listed.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.listed: dict[str, ListedRoom] = {}
        self.silent: set[str] = set()
        self.agents: dict[str, list[datetime]] = {}
        self.dispatches: dict[str, list[Dispatch]] = {}
        self.adopted: list[str] = []
        self.is_away = False
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def open(self, name: str, sid: str, *, people: int = 1, metadata: str = "") -> None:
        """LiveKit makes a room; one of the same name is no more."""
        self.listed[name] = ListedRoom(sid, name, self._clock.now(), metadata, people)

    def close(self, name: str) -> None:
        del self.listed[name]

    def node_dies(self, name: str) -> None:
        """The room stays listed, without people, and nobody answers for it."""
        self.listed[name] = replace(self.listed[name], people=0)
        self.silent.add(name)

    def agent_joins(self, name: str) -> None:
        self.agents.setdefault(name, []).append(self._clock.now())

    async def list_rooms(self) -> Sequence[ListedRoom]:
        if self.is_away:
            raise LiveKitAwayError("away")
        if self.meanwhile is not None:
            await self.meanwhile()
        return list(self.listed.values())

    async def check_answers(self, name: str) -> None:
        self._answer(name)

    async def agents_joined_at(self, name: str) -> Sequence[datetime]:
        return list(self.agents.get(name, []))

    async def adopt(self, name: str) -> None:
        self.silent.discard(name)
        self.adopted.append(name)

    async def set_metadata(self, room: str, metadata: str) -> None:
        self._answer(room)
        self.listed[room] = replace(self.listed[room], metadata=metadata)

    async def list_dispatches(self, room: str, agent_name: str) -> list[Dispatch]:
        self._answer(room)
        return list(self.dispatches.get(room, []))

    async def dispatch(self, room: str, agent_name: str) -> Dispatch:
        self._answer(room)
        made = self.dispatches.setdefault(room, [])
        made.append(Dispatch(self._clock.now(), f"AD_{len(made)}"))
        return made[-1]

    def _answer(self, name: str) -> None:
        if self.is_away:
            raise LiveKitAwayError("away")
        if name not in self.listed:
            raise RoomGoneError("no such room")
        if name in self.silent:
            raise NodeSilentError("no response from servers")
