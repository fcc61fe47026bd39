"""The smallest service that stands on servicekit, as a process: `python -m tests.integration.servicekit.tiny_service MODE PORT`.

Modes: `well`; `work_fails` and `work_ends` once `/go` was asked; `start_fails`; `slow`, whose start-up takes until `/go`
can't be asked any more.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar, get
from prometheus_client import CollectorRegistry

from meetai_servicekit.background import ProcessFate, running
from meetai_servicekit.http import HttpService, create_http_service
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.server import serve


def create(mode: str, fate: ProcessFate) -> HttpService:
    """The application, with one piece of background work."""
    told = asyncio.Event()
    closed = asyncio.Event()

    async def work() -> None:
        try:
            await told.wait()
            if mode == "work_fails":
                raise ValueError("what Ann said")
        finally:
            closed.set()

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        if mode == "start_fails":
            raise RuntimeError("can't start")
        if mode == "start_is_slow":
            sys.stdout.write("starting slowly\n")
            sys.stdout.flush()
            await asyncio.sleep(1)
        async with running({"work": work}, fate):
            yield
        sys.stdout.write(f"work closed: {closed.is_set()}\n")

    @get("/go")
    async def go() -> str:
        told.set()
        return "going"

    @get("/slow")
    async def slow() -> str:
        sys.stdout.write("answering slowly\n")
        sys.stdout.flush()
        await asyncio.sleep(1)
        return "answered"

    return create_http_service(
        title="Tiny", routes=[go, slow], readiness={}, registry=CollectorRegistry(), lifespan=[lifespan]
    )


if __name__ == "__main__":
    configure_logging("tiny", "INFO")
    outcome = ProcessFate()
    sys.exit(serve(create(sys.argv[1], outcome), host="127.0.0.1", port=int(sys.argv[2]), fate=outcome))
