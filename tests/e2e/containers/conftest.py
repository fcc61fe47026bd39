"""The four services as containers of the images that this tree makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from msgspec import Struct
from tests.e2e.containers.composed import composed
from tests.e2e.containers.confined import confined
from tests.servers import compose, images
from tests.servers.stacks import settings_in

from meetai_local.console import Console
from meetai_local.servers.livekit_program import ProgramSearch

collect_ignore_glob = images.files_that_need_no_engine()


class Service(Protocol):
    """A container that runs."""

    def terminate(self, *, seconds: float) -> int:
        """SIGTERM, and wait for the end; returns the exit code."""
        ...


class Deployment(Struct, frozen=True):
    """What runs.

    Attributes:
        env: What a client needs.
        services: By name.
        crash: Kills one and waits until its restart policy has brought it back; None where there is no such policy.
    """

    env: Mapping[str, str]
    services: Mapping[str, Service]
    crash: Callable[[str], None] | None = None


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["one by one", "composed"])
async def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """Everything is ready; in both ways that one would start it."""
    folder = tmp_path_factory.mktemp("containers")
    async with AsyncExitStack() as running:
        if request.param == "composed":
            compose.command()
        built = await asyncio.to_thread(images.built)
        if request.param == "composed":
            search = ProgramSearch(settings_in(folder / "search"), run="tests", console=Console(None))
            program = Path((await search.find()).command[0])
            env, services = running.enter_context(composed(built, program, folder))
            yield Deployment(env, services, crash=lambda name: services[name].crash())
        else:
            env, serving = await running.enter_async_context(confined(built, folder))
            yield Deployment(env, serving)
