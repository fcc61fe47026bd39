"""The service as it runs in production: `python -m meetai_token` in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import free_port

from meetai_servicekit.auth import new_service_key

START_SECONDS = 30
"""Two busy cores; alone it takes about 2 s, most of it imports."""

KEYS = {
    name: new_service_key(name, frozenset(scopes))
    for name, scopes in {
        "host": {"tokens:host"},
        "participant": {"tokens:participant"},
        "viewer": {"tokens:viewer"},
        "reader": {"transcripts:read"},
        "watcher": {"meetings:read"},
        "admin": {"meetings:admin"},
        "everything": {"tokens:host", "meetings:admin"},
    }.items()
}


def environment(livekit_url: str, port: int) -> dict[str, str]:
    """All that the service needs."""
    return {
        "LIVEKIT_URL": livekit_url,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "SERVICE_KEYS": ",".join(entry for _, entry in KEYS.values()),
        "PORT": str(port),
    }


class TokenProcess:
    """The running service, and how a backend calls it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.process = process
        self._log = log

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.base}{path}", timeout=5)

    def call(self, method: str, path: str, key: str) -> httpx.Response:
        """A request without a body, by the holder of one of `KEYS`."""
        headers = {"Authorization": f"Bearer {KEYS[key][0]}"}
        return httpx.request(method, f"{self.base}{path}", headers=headers, timeout=5)

    def ask(self, quoted_meeting_id: str, body: object, key: str | None = "host") -> httpx.Response:
        """Ask for a token; `body` is sent as JSON, or as it is where it is bytes."""
        headers = {"Authorization": f"Bearer {KEYS[key][0]}"} if key else {}
        url = f"{self.base}/v1/meetings/{quoted_meeting_id}/tokens"
        if isinstance(body, bytes):
            return httpx.post(url, content=body, headers=headers, timeout=5)
        return httpx.post(url, json=body, headers=headers, timeout=5)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def token_process(folder: Path, livekit_url: str, extra: Mapping[str, str] | None = None) -> Iterator[TokenProcess]:
    """Start the service, wait until it is alive, and end it with the block."""
    port = free_port()
    log_file = folder / "token.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "meetai_token"],
            env={**environment(livekit_url, port), **(extra or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    service = TokenProcess(process, port, log_file)
    try:
        _wait_until_alive(service)
        yield service
    finally:
        process.kill()
        process.wait(timeout=10)


def _wait_until_alive(service: TokenProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            service.get("/livez").raise_for_status()
        except httpx.TransportError:
            if service.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(service.log()[-2000:]) from None
            time.sleep(0.05)
        else:
            return
