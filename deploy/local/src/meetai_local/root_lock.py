"""One stack at a time in a root folder: a lock that the kernel releases when its holder ends, however it ends.

Owns the lock file and the pid in it. The pid is of use only while the lock is held.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meetai_local.errors import AlreadyRunningError

FILE = "lock"


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the root folder.

    Raises:
        AlreadyRunningError: Another process holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / FILE).open("a+", encoding="utf-8") as file:
        file.seek(0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunningError(
                f"already running here (pid {file.read().strip() or '?'}, {root}); `make down` stops it"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(root: Path) -> int | None:
    """The pid of the stack that runs in this folder, or None."""
    if not (root / FILE).exists():
        return None
    with (root / FILE).open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            pid = file.read().strip()
            return int(pid) if pid.isdigit() else None
    return None
