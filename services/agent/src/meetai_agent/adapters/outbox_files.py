"""Events on local disk until the stream has them: a file an event, in the folder of the spools.

A file is whole or not there: it is written under another name, locked, and renamed over what it replaces. The lock (flock)
is held for as long as its job's process lives, so a file that can be locked belongs to a dead job. Like the spool it is written
inline and not fsynced (ADR 0005). Nothing here raises: an outbox that fails is one that is away.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from meetai_agent.adapters.spool_files import write_whole

SUFFIX: Final = ".decision"
UNBORN_SUFFIX: Final = ".decision-new"
UNREADABLE_SUFFIX: Final = ".decision-unreadable"
MAX_CLAIMED: Final = 256
"""Events read at once by a worker that finds many."""
UNBORN_SECONDS: Final = 60.0
"""What was never renamed in this time was cut off by its writer's death."""

log = structlog.get_logger()


class OutboxFiles:
    """`ports.Outbox` of the job that runs here. The folder is made if it isn't there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[UUID, int] = {}

    def keep(self, key: UUID, event: bytes) -> bool:
        """Keep an event in place of the one kept under this key. Returns False when the disk is full or away."""
        try:
            lock = self._write(key, event)
        except OSError as error:
            log.error("outbox_keep_failed", proposal_id=str(key), errno=error.errno)  # noqa: TRY400 - no stack needed
            return False
        self._unlock(key)
        self._locks[key] = lock
        return True

    def drop(self, key: UUID) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)
        self._unlock(key)

    def release(self) -> None:
        """Give up all locks; the files are the worker's now."""
        for key in list(self._locks):
            self._unlock(key)

    def _path(self, key: UUID) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _write(self, key: UUID, event: bytes) -> int:
        """Returns the descriptor that holds the lock.

        Raises:
            OSError: it isn't kept; what was kept before still is.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        unborn = self._path(key).with_suffix(UNBORN_SUFFIX)
        fd = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_whole(fd, event, 0)
            unborn.rename(self._path(key))
        except OSError:
            os.close(fd)
            with suppress(OSError):
                unborn.unlink(missing_ok=True)
            raise
        return fd

    def _unlock(self, key: UUID) -> None:
        if (fd := self._locks.pop(key, None)) is not None:
            os.close(fd)


class DeadEventFile:
    """`ports.DeadEvent`: a file whose job is gone, locked by us."""

    def __init__(self, path: Path, fd: int, event: bytes) -> None:
        self._path = path
        self._fd: int | None = fd
        self.event = event

    def drop(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Give up the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def set_aside(self) -> None:
        """Rename it, so that it isn't claimed again."""
        with suppress(OSError):
            self._path.rename(self._path.with_suffix(UNREADABLE_SUFFIX))


class OutboxFolder:
    """`ports.DeadEvents`: the events in a folder that no living process holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self) -> list[DeadEventFile]:
        """Lock and read dead jobs' events, the oldest proposals first; remove what was cut off while it was written."""
        self._remove_unborn()
        paths = sorted(self._folder.glob(f"*{SUFFIX}"))[:MAX_CLAIMED]
        return [dead for path in paths if (dead := _claim(path)) is not None]

    def _remove_unborn(self) -> None:
        for path in self._folder.glob(f"*{UNBORN_SUFFIX}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > UNBORN_SECONDS:
                    path.unlink(missing_ok=True)


def _claim(path: Path) -> DeadEventFile | None:
    """None: its job lives, another worker has it, or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _still_there(path, fd):
            return DeadEventFile(path, fd, _read_whole(fd))
    except OSError as error:
        if not isinstance(error, BlockingIOError):
            log.error("outbox_read_failed", proposal_id=path.stem, errno=error.errno)  # noqa: TRY400 - no stack needed
    os.close(fd)
    return None


def _still_there(path: Path, fd: int) -> bool:
    """Whether the path still names this file: it may have been dropped, or replaced, before the lock was ours."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _read_whole(fd: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        return file.read()
