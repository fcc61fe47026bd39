"""A real livekit-server for a test session: the one that `make up` would run, found or built the same way."""

from __future__ import annotations

import asyncio

import msgspec
from tests.servers.embedded import EmbeddedServer

from meetai_local.console import Console
from meetai_local.credentials import Credentials
from meetai_local.servers import livekit
from meetai_local.servers.livekit_program import ProgramSearch
from meetai_local.settings import StackSettings

API_KEY, API_SECRET = "devkey", "for-tests-only-0123456789abcdefghij"


def livekit_server(settings: StackSettings) -> EmbeddedServer:
    """A server that starts and ends with its context; finding the program may mean building it, once a machine."""
    program = asyncio.run(ProgramSearch(settings, run="tests", console=Console(None)).find())
    credentials = msgspec.structs.replace(Credentials.new(), livekit_api_key=API_KEY, livekit_api_secret=API_SECRET)
    part = livekit.part(settings.root / "livekit", ports=settings.ports, credentials=credentials, program=program)
    return EmbeddedServer(part, url=f"ws://127.0.0.1:{settings.ports.livekit}")
