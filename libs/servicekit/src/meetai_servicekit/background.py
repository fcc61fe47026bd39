"""Work that runs beside the HTTP server for as long as the process lives.

Owns what happens when such work ends by itself: the process ends too, so that the platform starts a fresh one, rather
than answering health checks over a dead loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger()

Work = Callable[[], Coroutine[Any, Any, None]]


class ProcessFate:
    """Whether the process should report failure when it exits."""

    def __init__(self) -> None:
        self.failed = False

    def fail(self) -> None:
        """End the process in good order, with a failure exit code."""
        self.failed = True
        os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def running(works: Mapping[str, Work], fate: ProcessFate) -> AsyncGenerator[None]:
    """Run each work as a named task until the block ends, then cancel it and wait for it."""
    tasks = [asyncio.create_task(_watched(name, work, fate), name=name) for name, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watched(name: str, work: Work, fate: ProcessFate) -> None:
    try:
        await work()
        log.error("background_work_ended", work=name)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("background_work_failed", work=name)
    fate.fail()
