"""The event recorder against the real Inngest SDK, and reading events back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import inngest
import pytest

from meetai_local.inngest_events import received_events, receiver_kind
from meetai_local.servers.recorder import MAX_BODY_BYTES, serve


@pytest.fixture
def recorder_url(tmp_path: Path) -> Iterator[str]:
    """A recorder of this test's own."""
    server = serve(0, tmp_path)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


def _client(url: str) -> inngest.Inngest:
    return inngest.Inngest(
        app_id="test", is_production=False, api_base_url=url, event_api_base_url=url, event_key="local"
    )


async def test_sdk_gets_an_id_for_each_event_and_they_read_back(recorder_url: str) -> None:
    """What the SDK takes for success, and the very events that it sent."""
    events = [
        inngest.Event(name="livekit/room_finished", id="livekit-room_finished-RM_1", data={"meetingId": "é/🙂"}, ts=5),
        inngest.Event(name="livekit/room_started", id="livekit-room_started-RM_1"),
    ]
    ids = await _client(recorder_url).send(events)
    assert len(set(ids)) == 2
    (received,) = await received_events("livekit/room_finished", base_url=recorder_url)
    assert received["id"] == "livekit-room_finished-RM_1"
    assert received["data"] == {"meetingId": "é/🙂"}
    assert received["ts"] == 5


async def test_both_are_kept_when_an_id_comes_twice(recorder_url: str) -> None:
    """As the real dev server does: it is functions that run once, not events that are dropped."""
    event = inngest.Event(name="livekit/room_finished", id="same", data={})
    first, second = [await _client(recorder_url).send(event) for _ in range(2)]
    assert first != second
    assert len(await received_events("livekit/room_finished", base_url=recorder_url)) == 2


@pytest.mark.parametrize(
    "body", [b"{", b"[]x", b'[{"data": {}}]', b'[{"name": ""}]', b'"text"', b"[" * 200_000, b" " * (MAX_BODY_BYTES + 1)]
)
async def test_sender_is_told_when_its_events_are_bad(recorder_url: str, body: bytes) -> None:
    """400, and nothing is kept."""
    async with httpx.AsyncClient(base_url=recorder_url) as client:
        assert (await client.post("/e/local", content=body)).status_code == 400
        assert (await client.get("/events")).json() == []


async def test_events_are_there_when_the_recorder_starts_again(tmp_path: Path) -> None:
    """They are on disk before the sender has its ids."""
    for count in (1, 2):
        server = serve(0, tmp_path)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        await _client(url).send(inngest.Event(name="a/b"))
        assert len(await received_events("a/b", base_url=url)) == count
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


async def test_recorder_says_what_it_is(recorder_url: str) -> None:
    """Nobody takes it for Inngest."""
    assert await receiver_kind(base_url=recorder_url) == "event recorder"
    async with httpx.AsyncClient(base_url=recorder_url) as client:
        assert "recorder" in (await client.get("/")).json()["error"]
