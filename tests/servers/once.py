"""What is installed or built once for all of pytest's processes: whoever comes second waits, and finds it there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

LOCKS = Path(__file__).parents[2] / ".local" / "locks"


@contextmanager
def one_at_a_time(what: str, *, seconds: float) -> Iterator[None]:
    """Hold the lock of this name; the kernel releases it when its holder ends, however it ends.

    Raises:
        filelock.Timeout: Another process has held it for this long.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCKS / what, timeout=seconds):
        yield
