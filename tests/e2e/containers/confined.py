"""The images one by one, confined by hand; Postgres and Redis are testcontainers, LiveKit's server and the event recorder processes.

All of it shares this machine's network, on free ports of 127.0.0.1; the services share nothing else of the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
from tests.servers import containers
from tests.servers.images import ServiceContainer
from tests.servers.stacks import settings_in
from tests.waiting import eventually

from meetai_local.composition import Plan, whole_stack
from meetai_local.credentials import load_or_make
from meetai_local.part import Part
from meetai_local.services import services
from meetai_local.stack import Stack

READY_SECONDS: Final = 120
"""The agent imports its framework and loads the speech model: 10 s on an idle machine."""
WRITABLE: Final[Mapping[str, tuple[str, ...]]] = {"agent": ("/tmp", "/spool")}
"""The folders in which a service writes, as deploy/docs/containers.md has it."""


@asynccontextmanager
async def confined(
    images: Mapping[str, str], folder: Path
) -> AsyncIterator[tuple[Mapping[str, str], Mapping[str, ServiceContainer]]]:
    """Everything is ready; yields what a client needs, and the services.

    Args:
        images: Each image's id.
        folder: For what isn't in a container.
    """
    image_of = {name: images["agent-local" if name == "agent" else name] for name in images}
    async with AsyncExitStack() as running:
        database_url = running.enter_context(containers.postgres())
        redis_url = running.enter_context(containers.redis())
        stack = await running.enter_async_context(Stack(settings_in(folder), compose=_livekit_and_recorder))
        env = {**stack.env, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
        parts = services(stack.settings, load_or_make(stack.settings.root / "secrets.json"), env, ())
        serving = {}
        for part in parts:
            told = {**part.environment, **({"SPOOL_DIR": "/spool"} if part.name == "agent" else {})}
            if part.before:
                with ServiceContainer(image_of[part.name], told, arguments=("migrate",)) as migration:
                    code = await asyncio.to_thread(migration.exit_code, seconds=part.before_seconds)
                    assert code == 0, migration.log()
            container = ServiceContainer(image_of[part.name], told, writable=WRITABLE.get(part.name, ()))
            serving[part.name] = running.enter_context(container)
        async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
            for part in parts:
                await _until_ready(client, part.shown_address, serving[part.name])
        yield env, serving


async def _livekit_and_recorder(plan: Plan) -> tuple[Part, ...]:
    return tuple(part for part in await whole_stack(plan) if part.name in {"livekit", "inngest"})


async def _until_ready(client: httpx.AsyncClient, address: str, container: ServiceContainer) -> None:
    async def ready() -> bool:
        try:
            return (await client.get(f"{address}/readyz")).status_code == 200
        except httpx.TransportError:
            assert await asyncio.to_thread(container.is_running), container.log()
            return False

    await eventually(ready, seconds=READY_SECONDS)
