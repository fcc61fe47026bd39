"""A real livekit-server for a test session, found as LIVEKIT_SERVER_BIN, on PATH or in `.local/bin`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.servers.embedded import free_port

REPOSITORY = Path(__file__).parents[3]
API_KEY, API_SECRET = "devkey", "for-tests-only-0123456789abcdefghij"
START_SECONDS = 15

CONFIG = """
port: {port}
bind_addresses: ["127.0.0.1"]
keys: {{{key}: {secret}}}
rtc:
  udp_port: {udp_port}
  tcp_port: 0
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  interfaces: {{includes: [lo]}}
room: {{departure_timeout: 3, empty_timeout: 30}}
"""


@dataclass(frozen=True)
class LiveKitServer:
    """A server that runs."""

    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def binary() -> str:
    """The server's program.

    Raises:
        RuntimeError: it is nowhere; says how to get it.
    """
    local = REPOSITORY / ".local" / "bin" / "livekit-server"
    found = (
        os.environ.get("LIVEKIT_SERVER_BIN") or shutil.which("livekit-server") or (str(local) if local.exists() else "")
    )
    if not found:
        raise RuntimeError("no livekit-server: `make up` builds one, or set LIVEKIT_SERVER_BIN")
    return found


@contextmanager
def livekit_server(folder: Path) -> Iterator[LiveKitServer]:
    """Start a server, and end it with the block."""
    server = LiveKitServer(port=free_port())
    config = CONFIG.format(port=server.port, udp_port=free_port(), key=API_KEY, secret=API_SECRET)
    file, log_file = folder / "livekit.yaml", folder / "livekit.log"
    file.write_text(config)
    with log_file.open("wb") as log:
        process = subprocess.Popen([binary(), "--config", str(file)], stdout=log, stderr=log)
        try:
            _wait_until_it_answers(server, process, log_file)
            yield server
        finally:
            process.kill()
            process.wait(timeout=10)


def _wait_until_it_answers(server: LiveKitServer, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{server.port}/", timeout=1)
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log_file.read_text()[-2000:]) from None
            time.sleep(0.05)
        else:
            return
