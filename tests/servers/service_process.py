"""A service as it runs in production: `python -m meetai_<name>` in a process of its own, with nothing of the test's environment."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
from tests.waiting import wait_until

START_SECONDS = 30
"""Two busy cores; alone it takes about 2 s, most of it imports."""
STOP_SECONDS = 20


class ServiceProcess:
    """One replica. A service's own class adds how it is called.

    Args:
        module: What runs.
        folder: Where its log goes.
        port: Where it listens.
        environment: All of it.
    """

    def __init__(self, module: str, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", module]
        self._environment = dict(environment)
        self._log = folder / f"{module}-{port}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def restart(self) -> None:
        """Start it again, after it has ended."""
        assert self.process.poll() is not None
        self.process = self._start()

    @contextmanager
    def running(self, *, ready: bool = True) -> Iterator[Self]:
        """Wait until it is ready (or only alive), and end it with the block."""
        try:
            wait_until(self.is_ready if ready else self.is_alive, seconds=START_SECONDS)
            yield self
        finally:
            self.kill()

    def is_alive(self) -> bool:
        try:
            return self._status("/livez") == 200
        except httpx.TransportError:
            assert self.process.poll() is None, self.log()[-3000:]
            return False

    def is_ready(self) -> bool:
        return self.is_alive() and self._status("/readyz") == 200

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(timeout=10)

    def log(self) -> str:
        return self._log.read_text()

    def _status(self, path: str) -> int:
        return httpx.get(self.url + path, timeout=15).status_code
