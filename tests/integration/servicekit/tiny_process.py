"""The tiny service as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.servers.ports import free_port
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
PATIENCE_SECONDS = 30


class Tiny:
    """The tiny service's process."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "tiny.log"
        command = [sys.executable, "-m", "tests.integration.servicekit.tiny_service", mode, str(self.port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        try:
            wait_until(condition, seconds=PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(self.log) from error

    def is_alive(self) -> bool:
        try:
            return self.get("/livez").status_code == 200
        except httpx.TransportError:
            return False

    def exit_code(self) -> int:
        return self.process.wait(timeout=PATIENCE_SECONDS)


@contextmanager
def tiny(mode: str, folder: Path) -> Iterator[Tiny]:
    service = Tiny(mode, folder)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait(timeout=10)
