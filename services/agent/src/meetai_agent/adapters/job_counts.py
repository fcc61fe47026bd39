"""What jobs have counted, added up by the worker when it is scraped.

Each job's process writes to files of its own in one folder (prometheus_client's multiprocess mode). Owns that folder: the files
of processes that have ended are folded into one, so that a worker's thousandth meeting leaves no thousandth file, and nothing
that was counted is forgotten. The worker's own files there are left out: its registry has what is in them.
"""

from __future__ import annotations

import asyncio
import os
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

ENDED: Final = "ended"
"""In place of a pid in the name of a file that holds the counts of all ended processes."""
FOLD_SECONDS: Final = 60.0
SUMMED: Final = ("counter", "histogram", "summary")
UNREADABLE: Final = (OSError, struct.error, RuntimeError, UnicodeDecodeError)
"""What reading a file raises that is just being made, or whose process was killed while it wrote."""

log = structlog.get_logger()


class JobCounts(Collector):
    """A collector for the worker's registry."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    async def run(self) -> None:
        """Fold what ended processes leave, also where nobody scrapes, until cancelled."""
        while True:
            await asyncio.to_thread(self.fold)
            await asyncio.sleep(FOLD_SECONDS)

    def fold(self) -> None:
        """Add the files of ended processes to those of all that ended before."""
        with self._lock:
            for path in self._files():
                pid = _pid(path)
                if pid is not None and not _is_running(pid):
                    self._fold(path)

    def collect(self) -> Iterable[Metric]:
        """The sums over all jobs, running and ended."""
        with self._lock:
            readable = [str(path) for path in self._files() if _read(path) is not None]
            merged: Iterable[Metric] = MultiProcessCollector.merge(readable)  # type: ignore[no-untyped-call]  # untyped upstream
            return list(merged)

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._folder.glob("*.db")) if _pid(path) != os.getpid()]

    def _fold(self, path: Path) -> None:
        """Add a file to the one for its kind and delete it. A gauge of a process that has ended says nothing any more."""
        kind = path.name.partition("_")[0]
        values = _read(path)
        if values is None:
            log.error("job_counts_unreadable", file=path.name)
        elif kind in SUMMED:
            ended = MmapedDict(str(path.with_name(f"{kind}_{ENDED}.db")))  # type: ignore[no-untyped-call]  # untyped upstream
            for key, value in values:
                before, _timestamp = ended.read_value(key)  # type: ignore[no-untyped-call]  # untyped upstream
                ended.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]  # untyped upstream
            ended.close()  # type: ignore[no-untyped-call]  # untyped upstream
        with suppress(OSError):
            path.unlink()


def _read(path: Path) -> list[tuple[str, float]] | None:
    """Keys and values of a file; None when it can't be read."""
    try:
        found = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]  # untyped upstream
        return [(key, value) for key, value, _timestamp, _position in found]
    except UNREADABLE:
        return None


def _pid(path: Path) -> int | None:
    """Whose file it is, by its name `<kind>_<pid>.db`."""
    pid = path.stem.rpartition("_")[2]
    return int(pid) if pid.isdecimal() else None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
