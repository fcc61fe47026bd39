"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

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
