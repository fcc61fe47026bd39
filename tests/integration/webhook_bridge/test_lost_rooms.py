"""Real LiveKit servers are killed during meetings: each meeting's end is told exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from livekit.api import CreateRoomRequest, ListRoomsRequest, Room
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.integration.webhook_bridge.livekit_nodes import find_program, livekit_api, node, present
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_ports
from tests.unit.webhook_bridge.webhooks import metadata
from tests.waiting import eventually

from meetai_local.settings import StackSettings

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
GRACE_SECONDS = 20
"""Clients are back 3 s after a restart (FACTS), and much later on a busy machine."""
SHORT_GRACE_SECONDS = 8
"""Where nobody comes back."""
PATIENCE_SECONDS = 90.0


class Site:
    """A bridge, its Inngest, and the LiveKit nodes that deliver to it."""

    def __init__(self, replica: Bridge, inngest: InngestStub, database_url: str, nodes: list[EmbeddedServer]) -> None:
        self.replica = replica
        self.inngest = inngest
        self.nodes = nodes
        self._database_url = database_url

    def told_by(self) -> dict[str, str | None]:
        """Every room that the bridge knows, with the room under which its end was told."""
        with psycopg.connect(self._database_url) as connection:
            return dict(
                connection.execute("SELECT sid, told_by FROM webhook_bridge.rooms ORDER BY started_at").fetchall()
            )

    def finished(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.inngest.taken if event["name"] == "livekit/room_finished"]

    async def room(self, name: str, *, url: str | None = None) -> Room:
        """As LiveKit lists it, once the bridge knows it."""
        async with livekit_api(url or self.nodes[0].url) as api:
            found: list[Room] = []

            async def is_known() -> bool:
                found[:] = (await api.room.list_rooms(ListRoomsRequest(names=[name]))).rooms
                return bool(found) and found[0].sid in await asyncio.to_thread(self.told_by)

            await eventually(is_known, seconds=PATIENCE_SECONDS)
        return found[0]

    async def make_room(self, name: str) -> None:
        """As the token service does, with an agent in its metadata."""
        async with livekit_api(self.nodes[0].url) as api:
            await api.room.create_room(CreateRoomRequest(name=name, metadata=metadata(name)))

    async def agent_is_sent_for(self, name: str, *, url: str) -> None:
        """Wait until the room wants its agent and one was asked for."""

        async def is_sent_for() -> bool:
            async with livekit_api(url) as api:
                (room,) = (await api.room.list_rooms(ListRoomsRequest(names=[name]))).rooms
                dispatches = await api.agent_dispatch.list_dispatch(name)
            return room.metadata == metadata(name) and "meetai" in {each.agent_name for each in dispatches}

        await eventually(is_sent_for, seconds=PATIENCE_SECONDS)

    async def everything_is_told(self) -> None:
        """Wait until no room's end is left to tell and all events are delivered."""

        async def is_told() -> bool:
            rooms = await asyncio.to_thread(self.told_by)
            return bool(rooms) and None not in rooms.values() and not self.replica.events(state="pending")

        await eventually(is_told, seconds=PATIENCE_SECONDS)


@pytest.fixture
def sites(tmp_path: Path, database_url: str, inngest: InngestStub, stack_settings: StackSettings) -> Iterator[Any]:
    """Makes a site of one node, or of two on one Redis, of which the second isn't started yet."""
    program = find_program(stack_settings)
    with ExitStack() as stack:

        def make(redis: EmbeddedServer | None = None, *, grace_seconds: int = GRACE_SECONDS) -> Site:
            nodes_ports = [free_ports() for _ in range(2 if redis else 1)]
            asked = nodes_ports[-1].livekit  # a load balancer would find the one that lives
            extra = {"LIVEKIT_URL": f"ws://127.0.0.1:{asked}", "ROOM_GRACE_SECONDS": str(grace_seconds)}
            replica = stack.enter_context(bridge(tmp_path, database_url, inngest.url, extra=extra))
            nodes = [
                node(
                    tmp_path / f"livekit-{number}",
                    program,
                    msgspec.structs.replace(ports, webhook_bridge=replica.port),
                    redis_url=redis.url if redis else None,
                )
                for number, ports in enumerate(nodes_ports)
            ]
            stack.enter_context(nodes[0])
            return Site(replica, inngest, database_url, nodes)

        yield make


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_meeting_goes_on_when_its_server_is_killed_and_restarted(sites: Any) -> None:
    """The room comes back under another sid, knowing nothing: its metadata is restored and its agent sent for.

    Then one event, under the last sid, at the real end, with the first start.
    """
    site: Site = await asyncio.to_thread(sites)
    (server,) = site.nodes
    await site.make_room("standup")
    async with present(server.url, "standup", "maya"):
        first = await site.room("standup")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        second = await site.room("standup")
        await site.agent_is_sent_for("standup", url=server.url)
    assert second.sid != first.sid
    await site.everything_is_told()
    assert site.told_by() == {first.sid: second.sid, second.sid: second.sid}
    (end,) = site.finished()
    assert (end["meetingId"], end["roomSid"], end["source"]) == ("standup", second.sid, "webhook")
    assert instant(end["startedAt"]) == pytest.approx(first.creation_time_ms / 1000)
    assert instant(end["endedAt"]) >= second.creation_time
    assert site.inngest.ids == [f"livekit-room_finished-{second.sid}"]


async def test_a_meeting_has_ended_when_its_server_is_killed_and_nobody_comes_back(sites: Any) -> None:
    """LiveKit has forgotten the room: one event within the grace period, with the best-known end."""
    site: Site = await asyncio.to_thread(sites, grace_seconds=SHORT_GRACE_SECONDS)
    (server,) = site.nodes
    async with present(server.url, "standup", "maya"):
        room = await site.room("standup")
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await site.everything_is_told()
    (end,) = site.finished()
    assert (end["roomSid"], end["source"], end["reason"]) == (room.sid, "reconciler", "room_gone")
    assert room.creation_time_ms / 1000 - 0.001 <= instant(end["startedAt"]) <= instant(end["endedAt"])
    assert site.inngest.ids == [f"livekit-room_finished-{room.sid}"]


async def test_a_meeting_goes_on_when_one_of_two_nodes_is_killed(sites: Any, redis_server: EmbeddedServer) -> None:
    """People come back through the other, to the same sid: one event at the real end.

    LiveKit goes on listing the dead node's participants, its agent among them: another is sent for all the same.
    """
    site: Site = await asyncio.to_thread(sites, redis_server)
    first, second = site.nodes
    await site.make_room("standup")
    async with present(first.url, "standup", "maya"), present(first.url, "standup", "agent-1", kind="agent"):
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, second)
            room = await site.room("standup", url=second.url)
            await asyncio.to_thread(first.kill)
            async with present(second.url, "standup", "noor"):
                await site.agent_is_sent_for("standup", url=second.url)
                assert (await site.room("standup", url=second.url)).sid == room.sid
            await site.everything_is_told()
    (end,) = site.finished()
    assert (end["roomSid"], end["source"]) == (room.sid, "webhook")
    assert instant(end["startedAt"]) == pytest.approx(room.creation_time_ms / 1000)
    assert site.inngest.ids == [f"livekit-room_finished-{room.sid}"]


async def test_a_dead_room_is_adopted_when_nobody_comes_back(sites: Any, redis_server: EmbeddedServer) -> None:
    """LiveKit would list it for ever; adopted by the other node, it ends there and LiveKit says so: one event."""
    site: Site = await asyncio.to_thread(sites, redis_server)
    first, second = site.nodes
    with ExitStack() as stack:
        async with present(first.url, "standup", "maya"):
            await asyncio.to_thread(stack.enter_context, second)
            room = await site.room("standup", url=second.url)
            await asyncio.to_thread(first.kill)
        await site.everything_is_told()
        assert 'meetai_bridge_rooms_mended_total{what="adopted"} 1.0' in site.replica.get("/metrics").text
    (end,) = site.finished()
    assert (end["roomSid"], end["source"]) == (room.sid, "webhook")
    assert site.inngest.ids == [f"livekit-room_finished-{room.sid}"]
