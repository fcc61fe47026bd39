"""Settings for a test's own local stack: free ports, a folder of its own, programs shared with `make up`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from tests.servers.once import one_at_a_time
from tests.servers.ports import free_ports

from meetai_local.console import Console
from meetai_local.servers.livekit_program import BUILD_SECONDS, ProgramSearch
from meetai_local.settings import StackSettings

REPOSITORY = Path(__file__).parents[2]


def settings_in(root: Path) -> StackSettings:
    """Of a stack that keeps everything in `root`."""
    return StackSettings(
        root=root,
        programs=REPOSITORY / ".local",
        ports=free_ports(),
        livekit_server_bin=os.environ.get("LIVEKIT_SERVER_BIN") or None,
        uv=os.environ.get("MEETAI_UV") or None,
        inngest="recorder",
    )


@pytest.fixture(scope="session")
def stack_settings(tmp_path_factory: pytest.TempPathFactory) -> StackSettings:
    """For `async with Stack(stack_settings)`. Vary it with `msgspec.structs.replace`; a second stack needs other ports."""
    settings = settings_in(tmp_path_factory.mktemp("stack"))
    with one_at_a_time("livekit-server", seconds=BUILD_SECONDS):
        program = asyncio.run(ProgramSearch(settings, run="tests", console=Console(None)).find())
    if program.before:  # a container, which each stack names after its own ports
        return settings
    return msgspec.structs.replace(settings, livekit_server_bin=program.command[0])
