"""What the use cases expect of rooms, of the fake and of a real LiveKit server alike."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from livekit import rtc
from livekit.api import AccessToken, VideoGrants
from prometheus_client import CollectorRegistry
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port
from tests.unit.token.fake_rooms import FakeRooms

from meetai_servicekit.dispatches import Dispatch
from meetai_servicekit.livekit import KeyPair
from meetai_servicekit.secret import Secret
from meetai_token.adapters.livekit_rooms import LiveKitRooms
from meetai_token.domain.errors import GoneError, RoomsUnavailableError
from meetai_token.domain.rooms import Present, RoomSetup
from meetai_token.ports import Rooms

WITH_AGENT = RoomSetup(metadata='{"first":1}', agent_name="meetai")
OTHER = RoomSetup(metadata='{"second":2}', agent_name="other")


def now() -> datetime:
    return datetime.now(UTC)


class RoomsSuite(abc.ABC):
    """One promise of the port a test."""

    @abc.abstractmethod
    def agent_in(self, rooms: Rooms, meeting_id: str) -> contextlib.AbstractAsyncContextManager[None]:
        """An agent takes part while the block lasts."""

    async def test_room_is_as_asked_when_it_is_new(self, rooms: Rooms, meeting_id: str) -> None:
        """Metadata and dispatch are there at once, the dispatch with its time."""
        before = now()
        assert await rooms.create(meeting_id, WITH_AGENT) == WITH_AGENT.metadata
        (dispatch,) = await rooms.list_dispatches(meeting_id, "meetai")
        assert abs((dispatch.created_at - before).total_seconds()) < 5

    async def test_room_is_left_as_it_is_when_it_is_live(self, rooms: Rooms, meeting_id: str) -> None:
        """Neither metadata nor dispatches of the second request are taken."""
        await rooms.create(meeting_id, WITH_AGENT)
        assert await rooms.create(meeting_id, OTHER) == WITH_AGENT.metadata
        assert await rooms.list_dispatches(meeting_id, "other") == []

    async def test_metadata_is_another_when_it_was_set(self, rooms: Rooms, meeting_id: str) -> None:
        """The next `create` tells it."""
        await rooms.create(meeting_id, WITH_AGENT)
        await rooms.set_metadata(meeting_id, OTHER.metadata)
        assert await rooms.create(meeting_id, WITH_AGENT) == OTHER.metadata

    async def test_room_is_gone_when_metadata_is_set_too_late(self, rooms: Rooms, meeting_id: str) -> None:
        """The room ended between two calls."""
        with pytest.raises(GoneError):
            await rooms.set_metadata(meeting_id, "{}")

    async def test_dispatches_are_listed_in_order_when_there_are_several(self, rooms: Rooms, meeting_id: str) -> None:
        """Older is less, so that two processes agree upon which one stays."""
        await rooms.create(meeting_id, WITH_AGENT)
        mine = await rooms.dispatch(meeting_id, "meetai")
        await rooms.dispatch(meeting_id, "other")
        listed = sorted(await rooms.list_dispatches(meeting_id, "meetai"))
        assert len(listed) == 2
        assert listed[1] == mine

    async def test_dispatch_is_gone_when_it_was_withdrawn(self, rooms: Rooms, meeting_id: str) -> None:
        """Withdrawing twice is no error."""
        await rooms.create(meeting_id, WITH_AGENT)
        (dispatch,) = await rooms.list_dispatches(meeting_id, "meetai")
        await rooms.withdraw(meeting_id, dispatch)
        await rooms.withdraw(meeting_id, dispatch)
        await rooms.withdraw(meeting_id, Dispatch(created_at=now(), id="AD_unknown"))
        assert await rooms.list_dispatches(meeting_id, "meetai") == []

    async def test_agent_is_seen_when_it_takes_part(self, rooms: Rooms, meeting_id: str) -> None:
        """A dispatch alone is not an agent."""
        await rooms.create(meeting_id, WITH_AGENT)
        assert not await rooms.has_agent(meeting_id)
        async with self.agent_in(rooms, meeting_id):
            assert await rooms.has_agent(meeting_id)

    async def test_no_agent_is_seen_when_there_is_no_room(self, rooms: Rooms, meeting_id: str) -> None:
        """Looking into a room that isn't there is no error."""
        assert not await rooms.has_agent(meeting_id)

    @abc.abstractmethod
    def person_in(self, rooms: Rooms, meeting_id: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Ann, `u-1`, takes part while the block lasts, or until she is removed."""

    async def test_people_and_agents_are_told_apart_when_looked_for(self, rooms: Rooms, meeting_id: str) -> None:
        """Those who came first first, with what the room knows."""
        assert await rooms.look(meeting_id) is None
        await rooms.create(meeting_id, WITH_AGENT)
        async with self.person_in(rooms, meeting_id), self.agent_in(rooms, meeting_id):
            seen = await rooms.look(meeting_id)
        assert seen is not None
        assert (seen.metadata, seen.sid[:3]) == (WITH_AGENT.metadata, "RM_")
        assert abs((seen.started_at - now()).total_seconds()) < 60
        assert [each.is_agent for each in seen.present] == [False, True]
        assert (seen.present[0].identity, seen.present[0].name) == ("u-1", "Ann")

    async def test_person_is_gone_when_removed(self, rooms: Rooms, meeting_id: str) -> None:
        """A second time there is nobody to remove."""
        await rooms.create(meeting_id, WITH_AGENT)
        async with self.person_in(rooms, meeting_id):
            await rooms.remove(meeting_id, "u-1")
            with pytest.raises(GoneError):
                await rooms.remove(meeting_id, "u-1")

    async def test_room_is_gone_when_it_is_ended(self, rooms: Rooms, meeting_id: str) -> None:
        """A second time there is none to end."""
        await rooms.create(meeting_id, WITH_AGENT)
        await rooms.end(meeting_id)
        assert await rooms.look(meeting_id) is None
        for attempt in (rooms.end(meeting_id), rooms.remove(meeting_id, "u-1")):
            with pytest.raises(GoneError):
                await attempt


class TestFakeRooms(RoomsSuite):
    @pytest.fixture
    def rooms(self) -> Rooms:
        return FakeRooms(now)

    @contextlib.asynccontextmanager
    async def agent_in(self, rooms: Rooms, meeting_id: str) -> AsyncIterator[None]:
        assert isinstance(rooms, FakeRooms)
        rooms.rooms[meeting_id].agents += 1
        yield

    @contextlib.asynccontextmanager
    async def person_in(self, rooms: Rooms, meeting_id: str) -> AsyncIterator[None]:
        assert isinstance(rooms, FakeRooms)
        rooms.rooms[meeting_id].people.append(Present("u-1", "Ann", now(), is_agent=False, publishing=False))
        yield


class TestLiveKitRooms(RoomsSuite):
    @pytest.fixture
    async def rooms(self, livekit: EmbeddedServer) -> AsyncIterator[Rooms]:
        self.url = livekit.url
        rooms = LiveKitRooms(url=livekit.url, api_key=API_KEY, api_secret=API_SECRET, registry=CollectorRegistry())
        async with rooms.connected():
            yield rooms

    @contextlib.asynccontextmanager
    async def agent_in(self, rooms: Rooms, meeting_id: str) -> AsyncIterator[None]:
        grants = VideoGrants(room_join=True, room=meeting_id, agent=True)
        token = AccessToken(API_KEY, API_SECRET).with_identity("agent-x").with_kind("agent").with_grants(grants)
        async with self.joined(token):
            yield

    @contextlib.asynccontextmanager
    async def person_in(self, rooms: Rooms, meeting_id: str) -> AsyncIterator[None]:
        grants = VideoGrants(room_join=True, room=meeting_id)
        async with self.joined(
            AccessToken(API_KEY, API_SECRET).with_identity("u-1").with_name("Ann").with_grants(grants)
        ):
            yield

    @contextlib.asynccontextmanager
    async def joined(self, token: AccessToken) -> AsyncIterator[None]:
        room = rtc.Room()
        await room.connect(self.url, token.to_jwt())
        try:
            yield
        finally:
            await room.disconnect()


@contextlib.asynccontextmanager
async def rooms_at(url: str, secret: str = API_SECRET) -> AsyncIterator[tuple[LiveKitRooms, CollectorRegistry]]:
    registry = CollectorRegistry()
    rooms = LiveKitRooms(url=url, api_key=API_KEY, api_secret=secret, registry=registry)
    async with rooms.connected():
        yield rooms, registry


def calls(registry: CollectorRegistry, call: str, outcome: str) -> float | None:
    return registry.get_sample_value("meetai_livekit_call_seconds_count", {"call": call, "outcome": outcome})


async def test_check_passes_and_is_measured_when_livekit_answers(livekit: EmbeddedServer) -> None:
    """Every call is timed, by name and outcome."""
    async with rooms_at(livekit.url) as (rooms, registry):
        await rooms.check()
        assert calls(registry, "list_rooms", "ok") == 1


async def test_check_fails_when_livekit_does_not_know_the_key(livekit: EmbeddedServer) -> None:
    """A wrong secret makes the service unready, rather than every request fail."""
    async with rooms_at(livekit.url, secret="not-the-secret-0123456789abcdefghij") as (rooms, registry):
        with pytest.raises(RoomsUnavailableError, match="401"):
            await rooms.check()
        assert calls(registry, "list_rooms", "401") == 1


async def test_call_fails_when_nothing_listens() -> None:
    """Whatever the driver raises, the use cases hear of one error."""
    async with rooms_at(f"ws://127.0.0.1:{free_port()}") as (rooms, registry):
        with pytest.raises(RoomsUnavailableError):
            await rooms.create("m", WITH_AGENT)
        assert calls(registry, "create_room", "unreachable") == 1


async def test_call_fails_in_time_when_livekit_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and never answers."""
    monkeypatch.setattr("meetai_token.adapters.livekit_rooms.CALL_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with rooms_at(f"ws://127.0.0.1:{silent.getsockname()[1]}") as (rooms, registry):
            with pytest.raises(RoomsUnavailableError):
                await rooms.create("m", WITH_AGENT)
            assert calls(registry, "create_room", "unreachable") == 1


WRONG_SECRET = "0123456789abcdefghijklmnopqrstuv"


async def test_other_key_pair_is_used_when_livekit_no_longer_takes_the_first(livekit: EmbeddedServer) -> None:
    """By the very call that found out, by those beside it, and from then on; a pair that LiveKit takes is never left."""
    for first, second in (
        ((API_KEY, API_SECRET), ("retired", WRONG_SECRET)),
        (("retired", WRONG_SECRET), (API_KEY, API_SECRET)),
    ):
        registry = CollectorRegistry()
        rooms = LiveKitRooms(
            url=livekit.url,
            api_key=first[0],
            api_secret=first[1],
            next_key_pair=KeyPair(second[0], Secret(second[1])),
            registry=registry,
        )
        async with rooms.connected():
            await asyncio.gather(rooms.check(), rooms.check(), rooms.check())
            assert rooms.keys.current.api_key == API_KEY
            await rooms.check()
        assert calls(registry, "list_rooms", "ok") == 4


async def test_check_fails_when_livekit_takes_neither_key_pair(livekit: EmbeddedServer) -> None:
    """Once each, and no more."""
    registry = CollectorRegistry()
    rooms = LiveKitRooms(
        url=livekit.url,
        api_key="one",
        api_secret=WRONG_SECRET,
        next_key_pair=KeyPair("two", Secret(WRONG_SECRET)),
        registry=registry,
    )
    async with rooms.connected():
        with pytest.raises(RoomsUnavailableError, match="401"):
            await rooms.check()
    assert calls(registry, "list_rooms", "401") == 2
