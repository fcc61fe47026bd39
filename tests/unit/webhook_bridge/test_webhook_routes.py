"""What LiveKit is told, so that it sends again what wasn't taken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox

from meetai_servicekit import direct
from meetai_servicekit.http import create_http_service
from meetai_webhook_bridge.adapters.livekit_webhook import LiveKitWebhookReader
from meetai_webhook_bridge.http.webhooks import MAX_WEBHOOK_BYTES, webhook_routes
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook


async def test_livekit_is_asked_to_send_again_when_the_body_does_not_come_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """503 and not 408, which it would take for delivered."""
    monkeypatch.setattr(direct, "BODY_SECONDS", 0.05)
    clock = FakeClock()
    accept = AcceptWebhook(
        reader=LiveKitWebhookReader([], now=clock.now),
        inbox=MemoryInbox(clock),
        measures=FakeMeasures(),
        relayed=frozenset(),
        wake_relay=lambda: None,
    )
    app: Any = create_http_service(
        title="webhooks",
        routes=webhook_routes(accept),
        readiness={},
        registry=CollectorRegistry(),
        max_body_bytes=MAX_WEBHOOK_BYTES,
    )
    path = "/webhooks/livekit"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    parts, sent = [{"type": "http.request", "body": b"{", "more_body": True}], []

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**scope, "headers": [], "client": None, "root_path": "", "extensions": {}}, receive, send)
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
