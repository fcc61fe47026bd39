"""One stack for all end-to-end tests: the four services as processes, with the real servers they need."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from tests.servers.ports import free_ports

from meetai_local.demo.engine import Engine
from meetai_local.demo.outcome import Outcome, await_outcome
from meetai_local.inngest_events import received_events
from meetai_local.settings import StackSettings
from meetai_local.stack import Stack


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run every test of this folder in the session's event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(stack_settings: StackSettings) -> AsyncIterator[Stack]:
    """The whole stack, in a folder of its own and on free ports; afterwards nothing of it may be running."""
    settings = msgspec.structs.replace(
        stack_settings, ports=free_ports()
    )  # other tests have run since those were chosen
    async with Stack(settings) as running:
        yield running
    assert running.leftovers() == []


@pytest_asyncio.fixture(loop_scope="session")
async def engine(stack: Stack) -> AsyncIterator[Engine]:
    """The services' HTTP interface, as an application's backend uses it."""
    async with Engine(stack.env) as client:
        yield client


async def outcome_of(stack: Stack, engine: Engine, meeting_id: str) -> Outcome:
    """What the engine kept of a meeting, once it should all be there."""
    return await await_outcome(
        engine, meeting_id, functools.partial(received_events, base_url=stack.env["INNGEST_BASE_URL"])
    )
