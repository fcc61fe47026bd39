"""One livekit-server for all tests of this folder; rooms are told apart by fresh names."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from livekit.api import LiveKitAPI
from tests.integration.token.livekit_server import API_KEY, API_SECRET, livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.servers.node import needed_node

from meetai_local.settings import StackSettings

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def livekit(stack_settings: StackSettings) -> Iterator[EmbeddedServer]:
    """A real server."""
    with livekit_server(stack_settings) as server:
        yield server


@pytest.fixture
async def livekit_api(livekit: EmbeddedServer) -> AsyncIterator[LiveKitAPI]:
    """LiveKit's own client, to see what is really there."""
    async with LiveKitAPI(livekit.url, API_KEY, API_SECRET) as api:
        yield api


@pytest.fixture
def meeting_id() -> str:
    """A meeting that no other test knows."""
    return f"meeting {os.getpid()}/{next(_numbers)} 😀"


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js with the packages of `tests/node`."""
    return needed_node()
