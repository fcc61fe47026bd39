"""Puts the service together: settings in, a running thing out. The only module that knows every other."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

import psycopg
from litestar import Litestar, Router
from msgspec import Struct
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from meetai_contracts.transcript import stream_key
from meetai_servicekit.background import ProcessFate, Work, running
from meetai_servicekit.backoff import Backoff
from meetai_servicekit.health import NotReadyError, ReadinessCheck
from meetai_servicekit.http import HttpService, create_http_service
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.patience import Patience
from meetai_servicekit.postgres import Pool, check_schema, create_pool, expected_migrations, migrate
from meetai_servicekit.server import Drain, serve
from meetai_servicekit.settings import EXIT_BAD_SETTINGS, load_or_exit
from meetai_servicekit.streams import StreamConsumer, consumer_name
from meetai_servicekit.streams.redis_server import check_server
from meetai_servicekit.streams.redis_stream import RedisEntryStream, create_client
from meetai_servicekit.tracing import start_tracing
from meetai_transcript_ingest import commands, http
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.adapters.livekit_tokens import LiveKitParticipantTokens
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_dead_letters import PostgresDeadLetters
from meetai_transcript_ingest.adapters.postgres_erasures import PostgresErasures
from meetai_transcript_ingest.adapters.postgres_outbox import PostgresOutbox
from meetai_transcript_ingest.adapters.postgres_retention import PostgresRetention
from meetai_transcript_ingest.adapters.postgres_search import PostgresSearchIndex
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.adapters.postgres_summaries import PostgresSummaries
from meetai_transcript_ingest.adapters.postgres_upgrade import PostgresUpgrade
from meetai_transcript_ingest.adapters.postgres_wakeups import PostgresWakeups
from meetai_transcript_ingest.adapters.prometheus import PrometheusObserver, PrometheusReadingObserver
from meetai_transcript_ingest.adapters.prometheus_search import PrometheusSearchObserver
from meetai_transcript_ingest.adapters.redis_events import RedisEventsStream
from meetai_transcript_ingest.consumer import GARBAGE_THRESHOLD, GROUP, joined, unpack_set
from meetai_transcript_ingest.domain.intake import Delivery
from meetai_transcript_ingest.http.dead_letters import dead_letter_routes
from meetai_transcript_ingest.http.erasure import erasure_routes
from meetai_transcript_ingest.http.search import search_routes
from meetai_transcript_ingest.http.summary import summary_routes
from meetai_transcript_ingest.settings import DatabaseSettings, IngestSettings
from meetai_transcript_ingest.upkeep import (
    complete_rooms,
    expire,
    finish_erasures,
    keep_partitions_ahead,
    relay_events,
    watch_dead_letters,
    watch_outbox,
)
from meetai_transcript_ingest.usecases import ExportTranscript, ProveTranscript, ReadTranscript, StoreEntries
from meetai_transcript_ingest.usecases.erase import EraseMeeting
from meetai_transcript_ingest.usecases.expire import ExpireTranscripts
from meetai_transcript_ingest.usecases.follow import FollowTranscript, keep_listening
from meetai_transcript_ingest.usecases.place import keep_lines_placed
from meetai_transcript_ingest.usecases.publish import CompleteRooms, PublishEvents
from meetai_transcript_ingest.usecases.redrive import InspectDeadLetters, Redrive
from meetai_transcript_ingest.usecases.search import SearchTranscripts, search_works

SERVICE: Final = "transcript-ingest"
BACKOFF: Final = Backoff(first_seconds=0.2, limit_seconds=3.0)
"""A server that restarts is back within seconds; three more a minute don't hurt one that is away for an hour."""
TRUSTED_SECONDS: Final = 1.0
"""Asking a connection whether it is alive took a tenth of a small commit; what has been lost within a second of its last use is
tried again 0.2 s later (`BACKOFF`)."""
WRITER_CONNECTIONS: Final = 2
"""For all that is written beside the lines."""
READER_CONNECTIONS: Final = 4
SEARCH_CONNECTIONS: Final = 2
SEARCHES_WAITING: Final = 8
"""One more is refused at once: these are answered within the 2 s that a caller waits for a connection, or not at all."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM, or do what a sub-command says; returns the process's exit code."""
    if not arguments:
        return _serve(load_or_exit(IngestSettings, environ))
    if list(arguments) == ["migrate"]:
        return _migrate(load_or_exit(DatabaseSettings, environ))
    if arguments[0] == "dead-letters":
        command = commands.parse(arguments[1:])
        return asyncio.run(_dead_letters(load_or_exit(DatabaseSettings, environ), command))
    sys.stderr.write("usage: python -m meetai_transcript_ingest [migrate | dead-letters …]\n")
    return EXIT_BAD_SETTINGS


def create_app(settings: IngestSettings, fate: ProcessFate) -> tuple[HttpService, Drain]:
    """The application, and what lets it end. Nothing is opened before it starts up, and it starts whichever server is away."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    database_url = settings.database_url.reveal()
    shards = range(settings.transcript_stream_shards)
    pool = partial(create_pool, database_url, schema=SCHEMA)
    lines = pool(min_size=1, max_size=len(shards), application=SERVICE, trusted_seconds=TRUSTED_SECONDS)
    writers = pool(min_size=1, max_size=WRITER_CONNECTIONS, application=f"{SERVICE}-upkeep")
    readers = pool(min_size=1, max_size=READER_CONNECTIONS, application=f"{SERVICE}-read", one_snapshot=True)
    redis = create_client(settings.redis_url.reveal())

    patience = Patience(BACKOFF, sleep=asyncio.sleep, random=random.random, observer=observer)
    store = PostgresLineStore(lines)
    tracing = start_tracing(SERVICE, settings.otel_exporter_otlp_endpoint)
    store_entries = StoreEntries(
        store,
        patience=patience,
        observer=observer,
        monotonic=time.monotonic,
        unix_seconds=time.time,
        tracer=tracing.tracer,
    )
    name = consumer_name()
    consumers = [
        StreamConsumer(
            RedisEntryStream(redis, key=stream_key(shard), group=GROUP, consumer=name),
            partial(unpack_set, lay_out=lay_out),
            store_entries,
            patience=patience,
            observer=observer,
            sleep=asyncio.sleep,
            monotonic=time.monotonic,
            join=joined,
        )
        for shard in shards
    ]
    works = {name: work for consumer in consumers for name, work in consumer.works().items()}
    outbox = PostgresOutbox(writers)
    works |= _telling(outbox, RedisEventsStream(redis), settings, observer)
    letters = PostgresDeadLetters(writers, store)
    works["watch dead letters"] = partial(watch_dead_letters, letters, observer=observer, sleep=asyncio.sleep)
    erase = EraseMeeting(PostgresErasures(writers), observer=observer, monotonic=time.monotonic)
    works["erasures"] = partial(finish_erasures, erase, observer=observer, sleep=asyncio.sleep)
    if settings.retention_days is not None:
        retention = PostgresRetention(writers)
        forget = ExpireTranscripts(
            retention, days=settings.retention_days, observer=observer, now=partial(datetime.now, UTC)
        )
        works["retention"] = partial(expire, forget, observer=observer, sleep=asyncio.sleep)
    works["partitions"] = partial(keep_partitions_ahead, store, patience=patience, today=_today, sleep=asyncio.sleep)
    works["place lines"] = partial(keep_lines_placed, PostgresUpgrade(writers), patience=patience, sleep=asyncio.sleep)
    reading = PrometheusReadingObserver(registry)
    archive = PostgresArchive(readers)
    follow = FollowTranscript(
        archive,
        reading,
        max_clients=settings.stream_clients_max,
        monotonic=time.monotonic,
        quiet_seconds=settings.completion_quiet_seconds,
    )
    wakeups = PostgresWakeups(database_url, wake=follow.wake, application=f"{SERVICE}-listen")
    works["listen"] = partial(keep_listening, wakeups, patience=patience)
    search = _searching(settings, pool, patience, registry)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as opened:
            opened.push_async_callback(redis.aclose)
            for database in (lines, writers, readers, *search.pools):
                await opened.enter_async_context(database)
            await opened.enter_async_context(running({**works, **search.works}, fate))
            yield

    service = create_http_service(
        title="MeetAI transcript-ingest",
        routes=[
            http.routes(
                ReadTranscript(archive),
                ProveTranscript(archive, quiet_seconds=settings.completion_quiet_seconds),
                ExportTranscript(archive, reading),
                follow,
                keys=settings.service_keys,
                participants=_participant_tokens(settings),
            ),
            search.routes,
            summary_routes(
                PostgresSummaries(readers, writers),
                keys=settings.service_keys,
                participants=_participant_tokens(settings),
            ),
            erasure_routes(erase, keys=settings.service_keys),
            dead_letter_routes(
                InspectDeadLetters(letters),
                Redrive(letters, observer=observer, monotonic=time.monotonic),
                keys=settings.service_keys,
            ),
        ],
        readiness=_readiness(readers, redis, consumers),
        registry=registry,
        lifespan=[lifespan],
        tracing=tracing,
    )
    return service, follow.close


def _readiness(pool: Pool, redis: Redis, consumers: Sequence[StreamConsumer[Delivery]]) -> Mapping[str, ReadinessCheck]:
    """What must be so for this replica to be of use."""

    async def consumers_turn() -> None:
        if any(consumer.stalled for consumer in consumers):
            raise NotReadyError("holds entries that it can't store")

    return {
        "postgres": partial(check_schema, pool, expected_migrations(MIGRATIONS)),
        "redis": partial(check_server, redis),
        "consumer": consumers_turn,
    }


def _telling(
    outbox: PostgresOutbox, stream: RedisEventsStream, settings: IngestSettings, observer: PrometheusObserver
) -> Mapping[str, Work]:
    """What decides that a room is complete, and tells it."""
    complete = CompleteRooms(outbox, quiet_seconds=settings.completion_quiet_seconds)
    publish = PublishEvents(outbox, stream)
    return {
        "complete rooms": partial(complete_rooms, complete, observer=observer, sleep=asyncio.sleep),
        "relay": partial(relay_events, publish, observer=observer, sleep=asyncio.sleep),
        "watch outbox": partial(watch_outbox, outbox, observer=observer, sleep=asyncio.sleep),
    }


class _Search(Struct, frozen=True):
    """What searching adds to the service; it shares nothing with the rest but the database."""

    pools: Sequence[Pool]
    works: Mapping[str, Work]
    routes: Router


def _searching(
    settings: IngestSettings, pool: Callable[..., Pool], patience: Patience, registry: CollectorRegistry
) -> _Search:
    searchers = pool(
        min_size=0, max_size=SEARCH_CONNECTIONS, max_waiting=SEARCHES_WAITING, application=f"{SERVICE}-search"
    )
    indexers = pool(min_size=0, max_size=1, application=f"{SERVICE}-search-index")
    index = PostgresSearchIndex(searchers, indexers)
    observer = PrometheusSearchObserver(registry)
    return _Search(
        (searchers, indexers),
        search_works(index, patience=patience, observer=observer, sleep=asyncio.sleep, monotonic=time.monotonic),
        search_routes(SearchTranscripts(index), keys=settings.service_keys, participants=_participant_tokens(settings)),
    )


def _serve(settings: IngestSettings) -> int:
    configure_logging(SERVICE, settings.log_level)
    fate = ProcessFate()
    app, drain = create_app(settings, fate)
    gc.set_threshold(GARBAGE_THRESHOLD)
    return serve(app, host=settings.host, port=settings.port, fate=fate, drain=drain)


async def _dead_letters(settings: DatabaseSettings, command: commands.DeadLetterCommand) -> int:
    configure_logging(SERVICE, settings.log_level, stream=sys.stderr)
    pool = create_pool(
        settings.database_url.reveal(), schema=SCHEMA, min_size=0, max_size=1, application=f"{SERVICE}-dead-letters"
    )
    observer = PrometheusObserver(CollectorRegistry())
    async with pool:
        letters = PostgresDeadLetters(pool, PostgresLineStore(pool))
        redrive = Redrive(letters, observer=observer, monotonic=time.monotonic)
        return await commands.run(command, InspectDeadLetters(letters), redrive)


def _migrate(settings: DatabaseSettings) -> int:
    configure_logging(SERVICE, settings.log_level)
    try:
        migrate(settings.database_url.reveal(), schema=SCHEMA, migrations=MIGRATIONS)
    except psycopg.Error as error:
        # The driver's own words quote addresses and rows (ADR 0008); PostgreSQL's code says what is wrong.
        sys.stderr.write(f"migrate: {type(error).__name__}{f' ({error.sqlstate})' if error.sqlstate else ''}\n")
        return 1
    return 0


def _participant_tokens(settings: IngestSettings) -> LiveKitParticipantTokens | None:
    if settings.livekit_api_key is None or settings.livekit_api_secret is None:
        return None
    secrets = {settings.livekit_api_key: settings.livekit_api_secret, **dict(settings.livekit_more_keys)}
    return LiveKitParticipantTokens(secrets, now_seconds=time.time)


def _today() -> date:
    return datetime.now(UTC).date()
