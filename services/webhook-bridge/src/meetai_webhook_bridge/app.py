"""Puts the service together: settings in, a running thing out. The only module that knows every other."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from litestar import Litestar
from prometheus_client import CollectorRegistry

from meetai_contracts.events import EVENTS_STREAM
from meetai_servicekit import postgres
from meetai_servicekit.background import ProcessFate, running
from meetai_servicekit.backoff import Backoff
from meetai_servicekit.http import HttpService, create_http_service
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.patience import Patience
from meetai_servicekit.server import serve
from meetai_servicekit.settings import load_or_exit
from meetai_servicekit.streams import StreamConsumer, consumer_name
from meetai_servicekit.streams.redis_stream import READ_COUNT, RedisEntryStream, create_client
from meetai_servicekit.tracing import start_tracing
from meetai_webhook_bridge import commands
from meetai_webhook_bridge.adapters.inngest_events import InngestSink, InngestTarget
from meetai_webhook_bridge.adapters.livekit_rooms import LiveKitRooms
from meetai_webhook_bridge.adapters.livekit_webhook import KeyPair, LiveKitWebhookReader
from meetai_webhook_bridge.adapters.postgres import (
    MAX_CONNECTIONS,
    MAX_WAITING,
    MIGRATIONS,
    SCHEMA,
)
from meetai_webhook_bridge.adapters.postgres_erasure import PostgresErasure
from meetai_webhook_bridge.adapters.postgres_inbox import PostgresInbox
from meetai_webhook_bridge.adapters.postgres_leader import PostgresLeadership
from meetai_webhook_bridge.adapters.postgres_ledger import PostgresLedger
from meetai_webhook_bridge.adapters.postgres_rooms import PostgresRooms
from meetai_webhook_bridge.adapters.prometheus_measures import PrometheusMeasures
from meetai_webhook_bridge.http.erasure import erasure_routes
from meetai_webhook_bridge.http.ledger import ledger_routes
from meetai_webhook_bridge.http.webhooks import MAX_WEBHOOK_BYTES, webhook_routes
from meetai_webhook_bridge.overseer import Overseer
from meetai_webhook_bridge.relay import Relay, watch_backlog
from meetai_webhook_bridge.settings import BridgeSettings, MigrationSettings, load_bridge_settings_or_exit
from meetai_webhook_bridge.upkeep import expire_for_ever
from meetai_webhook_bridge.usecases.accept_entries import AcceptEntries, open_entries
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook
from meetai_webhook_bridge.usecases.deliver import DeliverDueEvents
from meetai_webhook_bridge.usecases.reconcile import Reconcile
from meetai_webhook_bridge.usecases.replay import ReplayEvents
from meetai_webhook_bridge.usecases.watch_agents import WatchAgents

NAME: Final = "webhook-bridge"
"""Of the service, and of its consumer group."""
BACKOFF: Final = Backoff(first_seconds=0.2, limit_seconds=3.0)
"""A server that restarts is back within seconds; a few attempts more a minute don't hurt one that is away for an hour."""


def run(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM, or `migrate`; returns the process's exit code."""
    if arguments == ["migrate"]:
        return migrate(load_or_exit(MigrationSettings, environ))
    if arguments[:1] == ["events"]:
        command = commands.parse(arguments[1:])
        return asyncio.run(ask_ledger(load_or_exit(MigrationSettings, environ), command))
    if arguments:
        sys.stderr.write("usage: python -m meetai_webhook_bridge [migrate | events …]\n")
        return 2
    return serve_until_stopped(load_bridge_settings_or_exit(environ))


def serve_until_stopped(settings: BridgeSettings) -> int:
    """Serve until SIGTERM; returns the process's exit code."""
    configure_logging(NAME, settings.log_level)
    fate = ProcessFate()
    return serve(create_app(settings, fate), host=settings.host, port=settings.port, fate=fate)


def migrate(settings: MigrationSettings) -> int:
    """Bring the schema up to date; returns the process's exit code."""
    configure_logging(NAME, settings.log_level)
    try:
        postgres.migrate(settings.database_url.reveal(), schema=SCHEMA, migrations=MIGRATIONS)
    except psycopg.Error as error:
        # The driver's own words quote addresses and rows (ADR 0008); PostgreSQL's code says what is wrong.
        sys.stderr.write(f"migrate: {type(error).__name__}{f' ({error.sqlstate})' if error.sqlstate else ''}\n")
        return 1
    return 0


async def ask_ledger(settings: MigrationSettings, command: argparse.Namespace) -> int:
    """Run `events …`; returns the process's exit code. A running relay takes up what is replayed within a second."""
    configure_logging(NAME, settings.log_level, stream=sys.stderr)  # stdout is for what was asked for
    pool = postgres.create_pool(
        settings.database_url.reveal(), schema=SCHEMA, min_size=1, max_size=1, application=f"{NAME} events"
    )
    async with pool:
        return await commands.run(command, ReplayEvents(PostgresLedger(pool), wake_relay=lambda: None))


def create_app(settings: BridgeSettings, fate: ProcessFate) -> HttpService:
    """The application. Nothing is opened before it starts up."""
    registry = CollectorRegistry()
    tracing = start_tracing(NAME, settings.otel_exporter_otlp_endpoint)
    measures = PrometheusMeasures(registry)
    pool = postgres.create_pool(
        settings.database_url.reveal(),
        schema=SCHEMA,
        min_size=2,
        max_size=MAX_CONNECTIONS,
        max_waiting=MAX_WAITING,
        application=NAME,
    )
    grace = timedelta(seconds=settings.room_grace_seconds)
    inbox, ledger = PostgresInbox(pool, grace=grace), PostgresLedger(pool)
    deliver_due = DeliverDueEvents(
        outbox=inbox,
        sink=InngestSink(_inngest_target(settings), now=_now),
        measures=measures,
        random=random.random,
        monotonic_seconds=time.monotonic,
        tracer=tracing.tracer,
    )
    relay = Relay(deliver_due, random=random.random, monotonic_seconds=time.monotonic)
    accept_webhook = AcceptWebhook(
        reader=LiveKitWebhookReader(_key_pairs(settings), now=_now),
        inbox=inbox,
        measures=measures,
        relayed=settings.relayed,
        wake_relay=relay.wake,
    )
    redis = create_client(settings.redis_url.reveal())
    patience = Patience(BACKOFF, sleep=asyncio.sleep, random=random.random, observer=measures)
    consumer = StreamConsumer(
        RedisEntryStream(redis, key=EVENTS_STREAM, group=NAME, consumer=consumer_name(), set_entries=READ_COUNT),
        open_entries,
        AcceptEntries(inbox, patience=patience, measures=measures, wake_relay=relay.wake),
        patience=patience,
        observer=measures,
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
    )
    rooms = LiveKitRooms(
        url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.reveal(),
        registry=registry,
    )
    overseer = Overseer(
        sought=PostgresLeadership(settings.database_url.reveal(), application=NAME).sought,
        reconcile=Reconcile(
            register=PostgresRooms(pool), rooms=rooms, measures=measures, grace=grace, now=_now, wake_relay=relay.wake
        ),
        watch_agents=WatchAgents(
            rooms=rooms, measures=measures, agent_name=settings.agent_name, now=_now, random=random.random
        ),
        leads=measures.leads,
        random=random.random,
    )
    works = {
        "overseer": overseer.run,
        "expiry": lambda: expire_for_ever(ledger, keep=timedelta(days=settings.retention_days), now=_now),
        **consumer.works(),
        "relay": relay.run,
        "backlog": lambda: watch_backlog(inbox, measures),
    }
    expected = postgres.expected_migrations(MIGRATIONS)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(redis.aclose)
            await stack.enter_async_context(pool)
            await stack.enter_async_context(rooms.connected())
            await stack.enter_async_context(running(works, fate))
            yield

    async def schema_is_current() -> None:
        await postgres.check_schema(pool, expected)

    return create_http_service(
        title="MeetAI webhook-bridge",
        routes=[
            *webhook_routes(accept_webhook),
            erasure_routes(PostgresErasure(pool), settings.service_keys),
            ledger_routes(ReplayEvents(ledger, wake_relay=relay.wake), settings.service_keys),
        ],
        readiness={"postgres": schema_is_current, "relay": relay.check_running},
        registry=registry,
        lifespan=[lifespan],
        tracing=tracing,
        max_body_bytes=MAX_WEBHOOK_BYTES,
    )


def _key_pairs(settings: BridgeSettings) -> list[KeyPair]:
    pairs = [(settings.livekit_api_key, settings.livekit_api_secret), *settings.livekit_more_keys]
    return [KeyPair(api_key=api_key, secret=secret) for api_key, secret in pairs]


def _inngest_target(settings: BridgeSettings) -> InngestTarget:
    base_url = settings.inngest_base_url or settings.inngest_dev or None
    return InngestTarget(
        dev=bool(settings.inngest_dev),
        event_key=settings.inngest_event_key,
        signing_key=settings.inngest_signing_key,
        api_base_url=base_url,
        event_api_base_url=settings.inngest_event_api_base_url or base_url,
    )


def _now() -> datetime:
    return datetime.now(UTC)
