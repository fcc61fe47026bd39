"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], object], *, seconds: float) -> float:
    """Wait until a condition holds; returns how long that took.

    Raises:
        AssertionError: it didn't hold in time.
    """
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


async def eventually(condition: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """As `wait_until`, within an event loop; returns what the condition came to."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(POLL_SECONDS)


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """As `eventually`, for a condition that needs no waiting itself."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions are anything, not only what has an event
            await asyncio.sleep(0.002)


async def settle() -> None:
    """Let the loop come to rest: whatever needs no time has happened. For what stands still until a test goes on."""
    for _ in range(50):
        await asyncio.sleep(0)
