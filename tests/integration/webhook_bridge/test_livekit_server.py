"""Webhooks that a real livekit-server makes and signs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI
from tests.integration.webhook_bridge.conftest import Shared
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_ports
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET
from tests.waiting import wait_until

from meetai_local.console import Console
from meetai_local.credentials import Credentials
from meetai_local.servers import livekit
from meetai_local.servers.livekit_program import ProgramSearch
from meetai_local.settings import StackSettings


@pytest.fixture
def livekit_server(shared: Shared, stack_settings: StackSettings, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that signs with our key and delivers to the replica."""
    program = asyncio.run(ProgramSearch(stack_settings, run="tests", console=Console(None)).find())
    ports = msgspec.structs.replace(free_ports(), webhook_bridge=shared.replica.port)
    credentials = msgspec.structs.replace(Credentials.new(), livekit_api_key=API_KEY, livekit_api_secret=API_SECRET)
    part = livekit.part(tmp_path / "livekit", ports=ports, credentials=credentials, program=program)
    with EmbeddedServer(part, url=f"http://127.0.0.1:{ports.livekit}") as server:
        yield server


async def _hold_and_end_a_meeting(server: EmbeddedServer, name: str) -> tuple[str, int]:
    """Make a room and delete it; returns its sid and when it was made."""
    async with LiveKitAPI(server.url, API_KEY, API_SECRET) as api:
        room = await api.room.create_room(CreateRoomRequest(name=name))
        await api.room.delete_room(DeleteRoomRequest(room=name))
    return room.sid, room.creation_time_ms


def test_a_real_rooms_end_becomes_one_event(shared: Shared, livekit_server: EmbeddedServer) -> None:
    """The server's webhooks are believed, and the event has the room's name, sid and times."""
    name = "weekly sync/é 😀"
    before = time.time()
    sid, created_ms = asyncio.run(_hold_and_end_a_meeting(livekit_server, name))
    wait_until(lambda: shared.replica.events(state="sent"), seconds=15)
    (event,) = shared.inngest.taken
    data = event["data"]
    assert event["id"] == f"livekit-room_finished-{sid}"
    assert (data["meetingId"], data["roomSid"]) == (name, sid)
    started, ended = (datetime.fromisoformat(data[key]).timestamp() for key in ("startedAt", "endedAt"))
    assert started == pytest.approx(created_ms / 1000)
    assert before - 1 <= started <= ended <= time.time()
    metrics = shared.replica.get("/metrics").text
    assert 'meetai_bridge_webhooks_total{event="room_started",outcome="accepted"}' in metrics
