"""A livekit-server of each test's own; it starts in 0.1 s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.integration.token.livekit_server import livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_ports

from meetai_local.settings import StackSettings


@pytest.fixture
def livekit_to_start(stack_settings: StackSettings, tmp_path: Path) -> EmbeddedServer:
    """A real server, before it is started."""
    return livekit_server(msgspec.structs.replace(stack_settings, root=tmp_path / "livekit", ports=free_ports()))


@pytest.fixture
def livekit(livekit_to_start: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A real server."""
    with livekit_to_start as server:
        yield server
