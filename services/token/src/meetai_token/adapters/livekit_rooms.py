"""LiveKit's rooms, by its server API.

Owns the calls, their time limits, their metrics, and the translation of whatever the SDK raises. Must not decide what a
room should be like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
import structlog
from livekit.api import LiveKitAPI, ServerError
from livekit.protocol.agent_dispatch import AgentDispatch, CreateAgentDispatchRequest, RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    ListParticipantsRequest,
    ListRoomsRequest,
    RoomParticipantIdentity,
    UpdateRoomMetadataRequest,
)
from prometheus_client import CollectorRegistry, Histogram

from meetai_token.domain import Dispatch, GoneError, LiveRoom, Present, RoomSetup, RoomsUnavailableError

CALL_TIMEOUT_SECONDS: Final = 1.5
"""One call. They take 1-5 ms; a node that has died lets routed calls wait 3 s (FACTS, LiveKit server)."""

BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

NO_ROOM: Final = "\0"
"""No meeting id holds a control character, so no room has this name."""

T = TypeVar("T")

log = structlog.get_logger()


class LiveKitRooms:
    """The rooms of one LiveKit server, over a pool of connections that `connected` opens and closes."""

    def __init__(self, *, url: str, api_key: str, api_secret: str, registry: CollectorRegistry) -> None:
        self._url = url
        self._api_key = api_key
        self._api_secret = api_secret
        self._connected: LiveKitAPI | None = None
        self._call_seconds = Histogram(
            "meetai_livekit_call_seconds",
            "Time of one call to LiveKit's server API.",
            ("call", "outcome"),
            registry=registry,
            buckets=BUCKETS_SECONDS,
        )

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Calls can be made within the block. Doesn't wait for the server."""
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            # failover is for LiveKit Cloud's regions; it would try again for longer than our callers wait
            self._connected = LiveKitAPI(self._url, self._api_key, self._api_secret, session=session, failover=False)
            try:
                yield
            finally:
                self._connected = None

    async def create(self, meeting_id: str, setup: RoomSetup) -> str:
        """Make the room unless it is live; returns the metadata it has. A live room is left as it is."""
        agents = [RoomAgentDispatch(agent_name=setup.agent_name)] if setup.agent_name else []
        request = CreateRoomRequest(name=meeting_id, metadata=setup.metadata, agents=agents)
        room = await self._call("create_room", self._api.room.create_room(request))
        return room.metadata

    async def set_metadata(self, meeting_id: str, metadata: str) -> None:
        """Change a live room's metadata."""
        request = UpdateRoomMetadataRequest(room=meeting_id, metadata=metadata)
        await self._call("update_room_metadata", self._api.room.update_room_metadata(request))

    async def has_agent(self, meeting_id: str) -> bool:
        """Whether an agent is among the participants."""
        request = ListParticipantsRequest(room=meeting_id)
        answer = await self._call("list_participants", self._api.room.list_participants(request))
        return any(participant.kind == ParticipantInfo.Kind.AGENT for participant in answer.participants)

    async def list_dispatches(self, meeting_id: str, agent_name: str) -> list[Dispatch]:
        """All dispatches of this agent to a live room, also those that never came to anything."""
        answer = await self._call("list_dispatch", self._api.agent_dispatch.list_dispatch(meeting_id))
        return [_dispatch(each) for each in answer if each.agent_name == agent_name]

    async def dispatch(self, meeting_id: str, agent_name: str) -> Dispatch:
        """Ask for an agent."""
        request = CreateAgentDispatchRequest(room=meeting_id, agent_name=agent_name)
        return _dispatch(await self._call("create_dispatch", self._api.agent_dispatch.create_dispatch(request)))

    async def withdraw(self, meeting_id: str, dispatch: Dispatch) -> None:
        """Take a dispatch back; its agent leaves. No error if it is gone already."""
        with suppress(GoneError):
            await self._call("delete_dispatch", self._api.agent_dispatch.delete_dispatch(dispatch.id, meeting_id))

    async def look(self, meeting_id: str) -> LiveRoom | None:
        """Who is in the room, those who came first first; None if there is no such room.

        LiveKit lists rooms and participants of a dead node for ever (FACTS), so a call that is routed to the room's node goes
        along: where nobody answers that, `RoomsUnavailableError` is the truth.
        """
        listed = await self._call("list_rooms", self._api.room.list_rooms(ListRoomsRequest(names=[meeting_id])))
        if not listed.rooms:
            return None
        try:
            request = ListParticipantsRequest(room=meeting_id)
            answer, _ = await asyncio.gather(
                self._call("list_participants", self._api.room.list_participants(request)),
                self._call("list_dispatch", self._api.agent_dispatch.list_dispatch(meeting_id)),
            )
        except GoneError:  # it ended between the two calls
            return None
        (room,) = listed.rooms
        present = sorted(map(_present, answer.participants), key=lambda each: (each.joined_at, each.identity))
        return LiveRoom(room.sid, _instant(room.creation_time_ms), room.metadata, tuple(present))

    async def remove(self, meeting_id: str, identity: str) -> None:
        """Make somebody leave. Raises `GoneError` if they aren't there."""
        request = RoomParticipantIdentity(room=meeting_id, identity=identity)
        await self._call("remove_participant", self._api.room.remove_participant(request))

    async def end(self, meeting_id: str) -> None:
        """Make everybody leave, and the room with them. Raises `GoneError` if there is no such room.

        `create_room` before it adopts a room whose node has died, without which `delete_room` would wait for that node.
        """
        listed = await self._call("list_rooms", self._api.room.list_rooms(ListRoomsRequest(names=[meeting_id])))
        if not listed.rooms:
            raise GoneError("no such room")
        await self._call("create_room", self._api.room.create_room(CreateRoomRequest(name=meeting_id)))
        await self._call("delete_room", self._api.room.delete_room(DeleteRoomRequest(room=meeting_id)))

    async def check(self) -> None:
        """Whether LiveKit answers and takes our key; asks for a room that can't be."""
        await self._call("list_rooms", self._api.room.list_rooms(ListRoomsRequest(names=[NO_ROOM])))

    @property
    def _api(self) -> LiveKitAPI:
        if self._connected is None:
            raise RuntimeError("LiveKitRooms is used outside `connected`")
        return self._connected

    async def _call(self, name: str, call: Awaitable[T]) -> T:
        started = time.perf_counter()
        outcome = "cancelled"  # unless something else is known below: the caller's own time was up
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                answer = await call
            outcome = "ok"
        except ServerError as error:
            outcome = str(error.status)
            log.warning("livekit_call_refused", call=name, code=error.code, status=error.status)
            refusal = GoneError if error.status == HTTPStatus.NOT_FOUND else RoomsUnavailableError
            raise refusal(f"LiveKit answered {error.status} to {name}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            outcome = "unreachable"
            log.warning("livekit_call_failed", call=name, error=type(error).__name__)
            raise RoomsUnavailableError(f"LiveKit didn't answer {name}") from error
        finally:
            self._call_seconds.labels(name, outcome).observe(time.perf_counter() - started)
        return answer


def _dispatch(found: AgentDispatch) -> Dispatch:
    created_at = datetime.fromtimestamp(found.state.created_at / 1e9, tz=UTC)
    return Dispatch(created_at=created_at, id=found.id)


def _present(found: ParticipantInfo) -> Present:
    return Present(
        identity=found.identity,
        name=found.name,
        joined_at=_instant(found.joined_at_ms),
        is_agent=found.kind == ParticipantInfo.Kind.AGENT,
        publishing=found.is_publisher,
    )


def _instant(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1e3, tz=UTC)
