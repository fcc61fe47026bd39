"""A real room as the agent sees it, in this process, in which people with an application that knows approvals can be asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from redis.asyncio import Redis
from tests.integration.agent.approvers import Answer, Approver, agent_room, join
from tests.integration.token.livekit_server import livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_ports
from tests.unit.agent.approval_fakes import RecordingDecisionMeter
from tests.waiting import until
from uuid_utils.compat import uuid7

from meetai_agent.adapters.outbox_files import OutboxFiles
from meetai_agent.adapters.redis_events import RedisEventStream
from meetai_agent.adapters.room_participants import RoomParticipants
from meetai_agent.adapters.rpc_popups import RpcPopups
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.errors import PopupUnsupportedError
from meetai_agent.domain.proposal import Decided
from meetai_agent.tools.calendar_proposal import CalendarProposals
from meetai_agent.usecases.approve import Approvals
from meetai_agent.usecases.asking import Surroundings
from meetai_agent.usecases.tell import Telling
from meetai_contracts.approval import CalendarEvent
from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM, DomainEvent
from meetai_local.settings import StackSettings

SECONDS = 30.0
RETRO = CalendarEvent(
    title="Retro",
    start=dt.datetime(2026, 11, 9, 10, 0, tzinfo=ZoneInfo("Europe/Berlin")),
    end=dt.datetime(2026, 11, 9, 10, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    time_zone="Europe/Berlin",
)
OTHER = msgspec.structs.replace(RETRO, title="Lunch")


class CountingPopups(RpcPopups):
    """The real ones, which say how often an application didn't know them."""

    refused = 0

    async def show(self, identity: str, request: str, *, seconds: float) -> str:
        try:
            return await super().show(identity, request, seconds=seconds)
        except PopupUnsupportedError:
            self.refused += 1
            raise


class Room:
    """The agent's part of a meeting, in this process."""

    def __init__(self, url: str, redis_url: str, folder: Path) -> None:
        self.url = url
        self.name = f"standup-{uuid7()}"
        self._redis_url = redis_url
        self._folder = folder
        self._stack = AsyncExitStack()
        self.popup_seconds = 60.0

    async def open(self) -> None:
        room = await self._stack.enter_async_context(agent_room(self.url, self.name))
        events, meter = RedisEventStream(self._redis_url), RecordingDecisionMeter()
        telling = Telling(OutboxFiles(self._folder), stream=events, meter=meter, random=random.random)
        self.participants = RoomParticipants(room)
        self.popups = CountingPopups(room)
        self.approvals = Approvals(
            Surroundings(
                meeting_id=self.name,
                room_sid="RM_test",
                participants=self.participants,
                popups=self.popups,
                telling=telling,
                clock=SystemClock(),
                meter=meter,
                popup_seconds=self.popup_seconds,
                new_id=uuid7,
                random=random.random,
            )
        )
        telling.start()
        for closing in (events.aclose, telling.close, self.approvals.close):
            self._stack.push_async_callback(closing)

    async def close(self) -> None:
        await self._stack.aclose()

    async def with_person(
        self, identity: str = "ada", *, name: str = "Ada", answering: Answer | None = None, register: bool = True
    ) -> Approver:
        """Somebody who has joined and is seen; under an identity that is there already, as a reload does."""
        before = self.participants.stay_of(identity)
        approver = await join(self.url, self.name, identity, name=name, answering=answering, register=register)
        self._stack.push_async_callback(approver.leave)
        await until(lambda: self.participants.stay_of(identity) not in {None, before}, SECONDS)
        return approver

    def propose(self, identity: str = "ada", event: CalendarEvent = RETRO) -> asyncio.Future[Decided[CalendarEvent]]:
        return self.approvals.propose(CalendarProposals(), identity, event)

    async def told(self) -> list[DomainEvent]:
        """What has been told, once everything has."""
        await self.close()
        async with Redis.from_url(self._redis_url) as redis:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(EVENTS_STREAM)  # type: ignore[assignment]  # redis-py's union of protocols
        assert list(self._folder.iterdir()) == []
        return [msgspec.json.decode(fields[EVENT_FIELD.encode()], type=DomainEvent) for _, fields in entries]


@pytest.fixture(scope="module")
def livekit(stack_settings: StackSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for all of this; each test has a room of its own."""
    root = tmp_path_factory.mktemp("livekit")
    with livekit_server(msgspec.structs.replace(stack_settings, root=root, ports=free_ports())) as server:
        yield server


@pytest.fixture
async def unopened(livekit: EmbeddedServer, redis_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    room = Room(livekit.url, redis_url, tmp_path / "spool")
    (tmp_path / "spool").mkdir()
    yield room
    await room.close()


@pytest.fixture
async def room(unopened: Room) -> Room:
    await unopened.open()
    return unopened
