"""Keeps a guardian process beside this one, so that even a `kill -9` here leaves nothing running.

Owns the pipe whose end tells the guardian. Must outlive every part: it is entered first and left last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from meetai_local import guardian
from meetai_local.console import Console
from meetai_local.running import how_it_ended

END_SECONDS = 30.0


@asynccontextmanager
async def guarded(root: Path, run: str, console: Console) -> AsyncIterator[None]:
    """A guardian over this run while the body runs; another one if it is itself killed."""
    first = await _start(root, run)  # before anything else is started
    keeper = asyncio.create_task(_keep(first, root, run, console), name="guardian")
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _start(root: Path, run: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *guardian.command(root, run), stdin=asyncio.subprocess.PIPE, start_new_session=True
    )


async def _keep(process: asyncio.subprocess.Process, root: Path, run: str, console: Console) -> None:
    try:
        while True:
            code = await process.wait()
            console.line(f"the guardian process {how_it_ended(code)}; starting another")
            process = await _start(root, run)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
