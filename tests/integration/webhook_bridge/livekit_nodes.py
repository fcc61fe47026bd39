"""LiveKit servers that deliver to a bridge and can be killed: one by itself, or several on one Redis. And who is in their rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from livekit import api, rtc
from tests.servers.embedded import EmbeddedServer
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET

from meetai_local.console import Console
from meetai_local.credentials import Credentials, write_private
from meetai_local.servers import livekit
from meetai_local.servers.livekit_program import Program, ProgramSearch
from meetai_local.settings import Ports, StackSettings

EMPTY_SECONDS = 5
"""How soon a room that nobody joins ends here; LiveKit's own default is 300."""


def find_program(settings: StackSettings) -> Program:
    """livekit-server, found or built as `make up` does."""
    return asyncio.run(ProgramSearch(settings, run="tests", console=Console(None)).find())


def node(
    folder: Path,
    program: Program,
    ports: Ports,
    *,
    redis_url: str | None = None,
    keys: tuple[str, str] = (API_KEY, API_SECRET),
) -> EmbeddedServer:
    """A server on `ports.livekit` whose webhooks go to `ports.webhook_bridge`; with a Redis, one node of several."""
    credentials = msgspec.structs.replace(Credentials.new(), livekit_api_key=keys[0], livekit_api_secret=keys[1])
    part = livekit.part(folder, ports=ports, credentials=credentials, program=program)
    config: dict[str, Any] = livekit.configuration(ports, credentials)
    config["room"]["empty_timeout"] = EMPTY_SECONDS
    if redis_url is not None:
        address = urlsplit(redis_url)
        config["redis"] = {"address": f"{address.hostname}:{address.port}", "password": address.password or ""}

    def lay_out() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "livekit.yaml", msgspec.json.encode(config))

    return EmbeddedServer(msgspec.structs.replace(part, lay_out=lay_out), url=f"ws://127.0.0.1:{ports.livekit}")


def token(meeting_id: str, identity: str, *, kind: api.AccessToken.ParticipantKind = "standard") -> str:
    """Lets somebody in; with `agent` as its kind, a stand-in for the agent."""
    grants = api.VideoGrants(room_join=True, room=meeting_id)
    return api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_kind(kind).with_grants(grants).to_jwt()


@asynccontextmanager
async def present(
    url: str, meeting_id: str, identity: str, *, kind: api.AccessToken.ParticipantKind = "standard"
) -> AsyncIterator[rtc.Room]:
    """Somebody is in the room while the block lasts, and comes back by themselves if the server does."""
    room = rtc.Room()
    await room.connect(url, token(meeting_id, identity, kind=kind))
    try:
        yield room
    finally:
        try:
            async with asyncio.timeout(5):
                await room.disconnect()
        except TimeoutError:
            pass  # the server is away, which is what is being tested


@asynccontextmanager
async def livekit_api(url: str) -> AsyncIterator[api.LiveKitAPI]:
    """LiveKit's own client."""
    async with api.LiveKitAPI(url, API_KEY, API_SECRET) as client:
        yield client
