"""The rows of the report about webhook-bridge (issue 7, "Speed"). Both sides are called as ASGI applications, in process.

Neither logs a line a request here: ours would, and the peer has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request
from livekit.api import TokenVerifier, WebhookReceiver
from msgspec import Struct
from prometheus_client import CollectorRegistry
from tests.bench.comparing import Figure, Row, alternate, compared
from tests.bench.servers import servers
from tests.unit.webhook_bridge.asgi import post
from tests.unit.webhook_bridge.fakes import FakeMeasures
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, encoded, metadata, room_finished, signed

from meetai_servicekit import postgres
from meetai_servicekit.http import create_http_service
from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.adapters.livekit_webhook import KeyPair, LiveKitWebhookReader
from meetai_webhook_bridge.adapters.postgres import MAX_CONNECTIONS, MIGRATIONS, SCHEMA
from meetai_webhook_bridge.adapters.postgres_inbox import PostgresInbox
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.meetings import RoomFacts
from meetai_webhook_bridge.domain.webhooks import Webhook
from meetai_webhook_bridge.http.webhooks import MAX_WEBHOOK_BYTES, webhook_routes
from meetai_webhook_bridge.ports import Inbox
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

RATE_A_SECOND = 200
"""Issue 7, point 1: with a p99 of 100 ms at most."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is measured, how often."""

    repeat: int = 5
    webhooks: int = 4_000
    stored: int = 2_000


class NoInbox:
    """Takes everything and keeps nothing: what remains is verifying and parsing."""

    async def accept(self, webhook: Webhook, event: OutboundEvent | None, told: RoomFacts | None = None) -> bool:
        return True


def ours(inbox: Any) -> Any:
    """This service's own application, as far as webhooks go."""
    accept = AcceptWebhook(
        reader=_reader(),
        inbox=inbox,
        measures=FakeMeasures(),
        relayed=frozenset({"room_finished"}),
        wake_relay=lambda: None,
    )
    return create_http_service(
        title="webhooks",
        routes=webhook_routes(accept),
        readiness={},
        registry=CollectorRegistry(),
        max_body_bytes=MAX_WEBHOOK_BYTES,
    )


def peer() -> Any:
    """What LiveKit's documentation shows: the SDK's receiver behind a route of FastAPI's."""
    app = FastAPI()
    receiver = WebhookReceiver(TokenVerifier(API_KEY, API_SECRET))

    @app.post("/webhooks/livekit")
    async def webhook(request: Request) -> dict[str, str]:
        body = await request.body()
        try:
            event = receiver.receive(body.decode(), request.headers.get("authorization", ""))
        except Exception as error:
            raise HTTPException(status_code=401) from error
        return {"event": event.event}

    return app


def _reader() -> LiveKitWebhookReader:
    return LiveKitWebhookReader([KeyPair(api_key=API_KEY, secret=Secret(API_SECRET))], now=lambda: datetime.now(UTC))


def _read_rate(read: Callable[[bytes, bytes], object], webhooks: list[tuple[bytes, bytes]]) -> float:
    started = time.perf_counter()
    for body, token in webhooks:
        read(body, token)
    return len(webhooks) / (time.perf_counter() - started)


def webhook(number: int) -> tuple[bytes, bytes]:
    """A body of usual size, and its token."""
    body = encoded(
        room_finished(f"EV_{number}", sid=f"RM_{number}", name=f"meeting {number}", metadata=metadata("standup"))
    )
    return body, signed(body).encode()


def rate(app: Any, webhooks: list[tuple[bytes, bytes]]) -> float:
    """Webhooks a second, one after the other."""

    async def all_of_them() -> float:
        started = time.perf_counter()
        for body, token in webhooks:
            if await post(app, body, token) != 200:
                raise RuntimeError("a true webhook was refused")
        return len(webhooks) / (time.perf_counter() - started)

    return asyncio.run(all_of_them())


@asynccontextmanager
async def stored_by(database_url: str) -> Any:
    """Our application over PostgreSQL."""
    pool = postgres.create_pool(
        database_url, schema=SCHEMA, min_size=MAX_CONNECTIONS, max_size=MAX_CONNECTIONS, application="bench"
    )
    async with pool:
        await pool.wait()
        inbox: Inbox = PostgresInbox(pool)
        yield ours(inbox)


async def stored(app: Any, body: bytes, token: bytes) -> None:
    """Deliver a webhook until it is stored, as LiveKit does: a busy machine may answer 503."""
    while (status := await post(app, body, token)) != 200:
        if status != 503:
            raise RuntimeError(f"a true webhook was answered {status}")


async def commit_rate(database_url: str, webhooks: list[tuple[bytes, bytes]]) -> float:
    """Whole requests a second, as many side by side as there are connections."""
    left = iter(webhooks)
    async with stored_by(database_url) as app:

        async def send() -> None:
            for body, token in left:
                await stored(app, body, token)

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_CONNECTIONS):
                group.create_task(send())
        return len(webhooks) / (time.perf_counter() - started)


async def paced_p99_ms(database_url: str, webhooks: list[tuple[bytes, bytes]]) -> float:
    """The 99th percentile of a request's time when they come evenly, counted from when each should have begun."""
    times: list[float] = []
    async with stored_by(database_url) as app:
        began = time.perf_counter()

        async def send(number: int, body: bytes, token: bytes) -> None:
            due = began + number / RATE_A_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await stored(app, body, token)
            times.append((time.perf_counter() - due) * 1000)

        async with asyncio.TaskGroup() as group:
            for number, (body, token) in enumerate(webhooks):
                group.create_task(send(number, body, token))
    return sorted(times)[int(len(times) * 0.99)]


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Measure everything, a row at a time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        webhooks = [webhook(number) for number in range(scale.webhooks)]
        reader, sdk = _reader(), WebhookReceiver(TokenVerifier(API_KEY, API_SECRET))
        mine, theirs = alternate(
            scale.repeat,
            lambda: _read_rate(lambda body, token: reader.read(body, token.decode()), webhooks),
            lambda: _read_rate(lambda body, token: sdk.receive(body.decode(), token.decode()), webhooks),
        )
        yield compared(
            "verify and parse a webhook",
            Figure("webhook-bridge", "webhooks/s", mine),
            Figure("livekit-api's WebhookReceiver", "webhooks/s", theirs),
            goal=1.9,
        )
        without_store, receiver = ours(NoInbox()), peer()
        mine, theirs = alternate(scale.repeat, lambda: rate(without_store, webhooks), lambda: rate(receiver, webhooks))
        yield compared(
            "the same behind HTTP, stored by neither",
            Figure("webhook-bridge", "requests/s", mine),
            Figure("FastAPI, WebhookReceiver", "requests/s", theirs),
            goal=1.9,
        )
        with ExitStack() as stack:
            on = stack.enter_context(servers(folder))
            postgres.migrate(on.database_url, schema=SCHEMA, migrations=MIGRATIONS)
            numbers = iter(range(10**9))

            def fresh() -> list[tuple[bytes, bytes]]:
                return [webhook(next(numbers)) for _ in range(scale.stored)]

            (rates,) = alternate(scale.repeat, lambda: asyncio.run(commit_rate(on.database_url, fresh())))
            yield Row("the whole request, with its commit", Figure("webhook-bridge", "requests/s", rates))
            (p99,) = alternate(scale.repeat, lambda: asyncio.run(paced_p99_ms(on.database_url, fresh())))
            yield Row(
                f"the same at {RATE_A_SECOND} a second, p99",
                Figure("webhook-bridge", "ms", p99),
                goal=100,
                better="lower",
            )
    finally:
        structlog.reset_defaults()
