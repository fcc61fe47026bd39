"""A replica of transcript-ingest's consumers in a process of its own, told over its standard input what to do next.

The parts and their composition are the service's own; only HTTP is left out, and the stream notes when an entry's
transaction was committed, which is when it is about to be acknowledged.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from prometheus_client import CollectorRegistry

from meetai_contracts.transcript import stream_key
from meetai_servicekit.background import ProcessFate, Work, running
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.patience import Patience
from meetai_servicekit.postgres import create_pool
from meetai_servicekit.streams import StreamConsumer, consumer_name
from meetai_servicekit.streams.redis_stream import RedisEntryStream, create_client
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.adapters.prometheus import PrometheusObserver
from meetai_transcript_ingest.app import BACKOFF, SERVICE, TRUSTED_SECONDS
from meetai_transcript_ingest.consumer import GARBAGE_THRESHOLD, GROUP, joined, unpack_set
from meetai_transcript_ingest.usecases import StoreEntries


class Order(Struct, frozen=True):
    """Consume until so many entries are committed."""

    shards: int
    entries: int


class Done(Struct, frozen=True):
    """When that was: seconds of `time.monotonic`, which all processes of a machine share.

    Attributes:
        committed: By entry id, where the order was for a single shard.
    """

    started: float
    finished: float
    committed: dict[str, float]


class Ledger:
    """When each entry was committed."""

    def __init__(self, entries: int) -> None:
        self.committed: list[tuple[float, Sequence[str]]] = []
        self.complete = asyncio.Event()
        self._missing = entries

    def note(self, entry_ids: Sequence[str]) -> None:
        self.committed.append((time.monotonic(), entry_ids))
        self._missing -= len(entry_ids)
        if self._missing <= 0:
            self.complete.set()


class NotedStream(RedisEntryStream):
    """The real stream; acknowledging comes right after the COMMIT."""

    ledger: Ledger

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        self.ledger.note(entry_ids)
        await super().acknowledge(entry_ids)


async def consume(database_url: str, redis_url: str, order: Order) -> Done:
    """Do what `create_app` does beside HTTP, until the order is done."""
    observer = PrometheusObserver(CollectorRegistry())
    writers = create_pool(
        database_url,
        schema=SCHEMA,
        min_size=order.shards,
        max_size=order.shards,
        application=SERVICE,
        trusted_seconds=TRUSTED_SECONDS,
    )
    redis = create_client(redis_url)
    patience = Patience(BACKOFF, sleep=asyncio.sleep, random=random.random, observer=observer)
    store = StoreEntries(
        PostgresLineStore(writers),
        patience=patience,
        observer=observer,
        monotonic=time.monotonic,
        unix_seconds=time.time,
    )
    ledger = Ledger(order.entries)
    name = consumer_name()
    works: dict[str, Work] = {}
    for shard in range(order.shards):
        stream = NotedStream(redis, key=stream_key(shard), group=GROUP, consumer=name)
        stream.ledger = ledger
        consumer = StreamConsumer(
            stream,
            partial(unpack_set, lay_out=lay_out),
            store,
            patience=patience,
            observer=observer,
            sleep=asyncio.sleep,
            monotonic=time.monotonic,
            join=joined,
        )
        works |= consumer.works()
    async with writers:
        await writers.wait()
        started = time.monotonic()
        async with running(works, ProcessFate()):
            await ledger.complete.wait()
    await redis.aclose()
    finished = max(at for at, _ in ledger.committed)
    by_entry = {entry_id: at for at, ids in ledger.committed for entry_id in ids} if order.shards == 1 else {}
    return Done(started, finished, by_entry)


def main() -> None:
    """Read orders, a line each, and answer each with a line."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging(SERVICE, "INFO", stream=nowhere)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        gc.freeze()  # as the service does when it has started
        gc.set_threshold(GARBAGE_THRESHOLD)
        for line in sys.stdin:
            order = msgspec.json.decode(line, type=Order)
            done = uvloop.run(consume(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], order))
            sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
