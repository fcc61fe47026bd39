"""The service as it runs in production: `python -m meetai_webhook_bridge` in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.servers.embedded import free_port
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, encoded, signed
from tests.waiting import wait_until

from meetai_servicekit.auth import new_service_key

START_SECONDS = 30
"""Two busy cores; alone it takes about 2 s, most of it imports."""
READER_KEY, READER_ENTRY = new_service_key("reader", frozenset({"events:read", "events:replay"}))
OTHER_KEY, OTHER_ENTRY = new_service_key("other", frozenset({"transcripts:read"}))


NO_REDIS = "redis://127.0.0.1:1/0"
"""Most tests have none: webhooks must not wait for it."""


NO_LIVEKIT = "ws://127.0.0.1:1"
"""Nor any LiveKit's API."""


def environment(database_url: str, inngest_url: str, port: int, redis_url: str = NO_REDIS) -> dict[str, str]:
    """All that the service needs."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LIVEKIT_URL": NO_LIVEKIT,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "SERVICE_KEYS": f"{READER_ENTRY},{OTHER_ENTRY}",
        "INNGEST_DEV": inngest_url,
        "PORT": str(port),
    }


class Bridge:
    """One replica of the service, and how LiveKit and a backend call it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def deliver(self, webhook: dict[str, Any], *, authorization: str | None = None) -> httpx.Response:
        """Deliver a webhook as LiveKit does."""
        body = encoded(webhook)
        return self.deliver_body(body, signed(body) if authorization is None else authorization)

    def deliver_body(self, body: bytes, authorization: str, path: str = "/webhooks/livekit") -> httpx.Response:
        headers = {"Authorization": authorization, "Content-Type": "application/webhook+json"}
        return httpx.post(self.url + path, content=body, headers=headers, timeout=20)

    def get(self, path: str, key: str | None = READER_KEY) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(self.url + path, headers=headers, timeout=10)

    def post(self, path: str, body: object = None, key: str = READER_KEY) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10)

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """The ledger's first page."""
        page = httpx.get(
            f"{self.url}/v1/events", params=query, headers={"Authorization": f"Bearer {READER_KEY}"}, timeout=10
        )
        entries: list[dict[str, Any]] = page.raise_for_status().json()["events"]
        return entries

    def is_alive(self) -> bool:
        try:
            return self.get("/livez").status_code == 200
        except httpx.TransportError:
            assert self.process.poll() is None, self.log()[-3000:]
            return False

    def is_ready(self) -> bool:
        return self.is_alive() and self.get("/readyz").status_code == 200

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(timeout=10)

    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def bridge(
    folder: Path,
    database_url: str,
    inngest_url: str,
    *,
    redis_url: str = NO_REDIS,
    extra: Mapping[str, str] | None = None,
    ready: bool = True,
) -> Iterator[Bridge]:
    """Start a replica, wait until it is ready (or only alive), and end it with the block."""
    port = free_port()
    log_file = folder / f"bridge-{port}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "meetai_webhook_bridge"],
            env={**environment(database_url, inngest_url, port, redis_url), **(extra or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    replica = Bridge(process, port, log_file)
    try:
        wait_until(replica.is_ready if ready else replica.is_alive, seconds=START_SECONDS)
        yield replica
    finally:
        process.kill()
        process.wait(timeout=10)
