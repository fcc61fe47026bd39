"""One livekit-server for all tests of this folder; rooms are told apart by fresh names."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from livekit.api import LiveKitAPI
from tests.integration.token.livekit_server import API_KEY, API_SECRET, LiveKitServer, livekit_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real server."""
    with livekit_server(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture
async def livekit_api(livekit: LiveKitServer) -> AsyncIterator[LiveKitAPI]:
    """LiveKit's own client, to see what is really there."""
    async with LiveKitAPI(livekit.url, API_KEY, API_SECRET) as api:
        yield api


@pytest.fixture
def meeting_id() -> str:
    """A meeting that no other test knows."""
    return f"meeting {os.getpid()}/{next(_numbers)} 😀"
