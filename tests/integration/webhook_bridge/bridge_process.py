"""The service as it runs in production: `python -m meetai_webhook_bridge` in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.servers.ports import free_port
from tests.servers.service_process import ServiceProcess
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, encoded, signed

from meetai_servicekit.auth import new_service_key

READER_KEY, READER_ENTRY = new_service_key("reader", frozenset({"events:read", "events:replay"}))
ERASER_KEY, ERASER_ENTRY = new_service_key("privacy", frozenset({"events:erase"}))
OTHER_KEY, OTHER_ENTRY = new_service_key("other", frozenset({"transcripts:read"}))

NO_REDIS = "redis://127.0.0.1:1/0"
"""Most tests have none: webhooks must not wait for it."""
PATIENCE_SECONDS = 15

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
        "SERVICE_KEYS": f"{READER_ENTRY},{ERASER_ENTRY},{OTHER_ENTRY}",
        "INNGEST_DEV": inngest_url,
        "PORT": str(port),
    }


class Bridge(ServiceProcess):
    """One replica of the service, and how LiveKit and a backend call it."""

    def deliver(
        self, webhook: dict[str, Any], *, authorization: str | None = None, patient: bool = True
    ) -> httpx.Response:
        """Deliver a webhook as LiveKit does: again, if it is asked to, unless the 503 is what it is about."""
        body = encoded(webhook)
        authorization = signed(body) if authorization is None else authorization
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:  # a busy machine's disk may keep a commit for longer than the service may take
            answer = self.deliver_body(body, authorization)
            if answer.status_code != 503 or not patient or time.monotonic() > give_up:
                return answer
            time.sleep(0.2)

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
    environ = {**environment(database_url, inngest_url, port, redis_url), **(extra or {})}
    with Bridge("meetai_webhook_bridge", folder, port, environ).running(ready=ready) as replica:
        yield replica
