"""Two replicas, and the one that leads is killed by `kill -9`: the other takes the lead, and misses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from livekit.api import CreateRoomRequest, DeleteRoomRequest
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.integration.webhook_bridge.livekit_nodes import find_program, livekit_api, node, present
from tests.servers.ports import free_ports
from tests.waiting import eventually, wait_until

from meetai_local.settings import StackSettings

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
PATIENCE_SECONDS = 60.0
"""It takes some 15 s: the lead is sought every 3 s, and a room may be away for the grace period."""
GRACE_SECONDS = 5


def leads(replica: Bridge) -> bool:
    return "meetai_bridge_leads 1.0" in replica.get("/metrics").text


async def test_missed_end_is_told_once_when_the_leader_is_killed(
    tmp_path: Path, database_url: str, inngest: InngestStub, stack_settings: StackSettings
) -> None:
    """LiveKit's webhooks reach nobody at all; the meeting ends while nobody leads; the dead one comes back, and leads no more."""
    ports = free_ports()  # nothing listens where the webhooks go
    extra = {"LIVEKIT_URL": f"ws://127.0.0.1:{ports.livekit}", "ROOM_GRACE_SECONDS": str(GRACE_SECONDS)}

    def rooms() -> dict[str, str | None]:
        with psycopg.connect(database_url) as connection:
            return dict(connection.execute("SELECT sid, told_by FROM webhook_bridge.rooms").fetchall())

    def finished() -> list[dict[str, Any]]:
        return [event["data"] for event in inngest.taken if event["name"] == "livekit/room_finished"]

    program = await asyncio.to_thread(find_program, stack_settings)
    with (
        node(tmp_path / "livekit", program, ports) as server,
        bridge(tmp_path, database_url, inngest.url, extra=extra) as first,
        bridge(tmp_path, database_url, inngest.url, extra=extra) as second,
    ):
        await asyncio.to_thread(wait_until, lambda: leads(first) or leads(second), seconds=PATIENCE_SECONDS)
        leader, other = (first, second) if leads(first) else (second, first)
        assert not leads(other)
        async with present(server.url, "standup", "maya"):
            await asyncio.to_thread(wait_until, rooms, seconds=PATIENCE_SECONDS)
            leader.kill()
            async with livekit_api(server.url) as api:
                await api.room.delete_room(DeleteRoomRequest(room="standup"))
        (sid,) = rooms()
        await asyncio.to_thread(wait_until, lambda: leads(other), seconds=PATIENCE_SECONDS)
        leader.restart()

        async def is_told() -> bool:
            return bool(finished()) and rooms() == {sid: sid}

        await eventually(is_told, seconds=PATIENCE_SECONDS)
        await asyncio.to_thread(wait_until, leader.is_ready, seconds=PATIENCE_SECONDS)
        async with livekit_api(server.url) as api:
            await api.room.create_room(CreateRoomRequest(name="retro"))
        await asyncio.to_thread(wait_until, lambda: len(rooms()) == 2, seconds=PATIENCE_SECONDS)  # it goes on looking
        assert (leads(leader), leads(other)) == (False, True)
        assert not other.events(state="pending")
    (end,) = finished()
    assert (end["meetingId"], end["roomSid"], end["source"]) == ("standup", sid, "reconciler")
    assert inngest.ids == [f"livekit-room_finished-{sid}"]
