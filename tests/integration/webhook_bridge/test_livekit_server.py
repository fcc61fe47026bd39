"""Webhooks that a real livekit-server makes and signs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from livekit.api import CreateRoomRequest, DeleteRoomRequest, LiveKitAPI
from tests.integration.token.livekit_server import binary
from tests.integration.webhook_bridge.conftest import Shared
from tests.integration.webhook_bridge.waiting import wait_until
from tests.servers.embedded import free_port
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET

START_SECONDS = 20
CONFIG = """
port: {port}
bind_addresses: ["127.0.0.1"]
keys: {{{key}: {secret}}}
rtc:
  udp_port: {udp_port}
  tcp_port: 0
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  interfaces: {{includes: [lo]}}
webhook: {{api_key: {key}, urls: ["{webhook_url}"]}}
"""


@contextmanager
def livekit_server(folder: Path, webhook_url: str) -> Iterator[str]:
    """A server that delivers its webhooks to a URL; gives its own."""
    port = free_port()
    file, log_file = folder / "livekit.yaml", folder / "livekit.log"
    file.write_text(
        CONFIG.format(port=port, udp_port=free_port(), key=API_KEY, secret=API_SECRET, webhook_url=webhook_url)
    )
    with log_file.open("wb") as log:
        process = subprocess.Popen([binary(), "--config", str(file)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url, process, log_file), seconds=START_SECONDS)
        yield url
    finally:
        process.kill()
        process.wait(timeout=10)


async def test_a_real_rooms_end_becomes_one_event(shared: Shared, tmp_path: Path) -> None:
    """Made and ended by LiveKit's own API: the server's webhooks are believed, and the event has the room's sid and times."""
    name = "weekly sync/é 😀"
    with livekit_server(tmp_path, f"{shared.replica.url}/webhooks/livekit") as url:
        async with LiveKitAPI(url, API_KEY, API_SECRET) as api:
            before = time.time()
            room = await api.room.create_room(CreateRoomRequest(name=name))
            await api.room.delete_room(DeleteRoomRequest(room=name))
        wait_until(lambda: shared.inngest.taken, seconds=10)
        after = time.time()
    (event,) = shared.inngest.taken
    assert event["id"] == f"livekit-room_finished-{room.sid}"
    assert event["data"]["meetingId"] == name
    assert event["data"]["roomSid"] == room.sid
    started, ended = (datetime.fromisoformat(event["data"][key]).timestamp() for key in ("startedAt", "endedAt"))
    assert before - 1 <= started <= ended <= after
    assert started == pytest.approx(room.creation_time_ms / 1000)
    metrics = shared.replica.get("/metrics").text
    assert 'meetai_bridge_webhooks_total{event="room_started",outcome="accepted"}' in metrics


def _answers(url: str, process: subprocess.Popen[bytes], log_file: Path) -> bool:
    assert process.poll() is None, log_file.read_text()[-2000:]
    try:
        httpx.get(url, timeout=1)
    except httpx.TransportError:
        return False
    return True
