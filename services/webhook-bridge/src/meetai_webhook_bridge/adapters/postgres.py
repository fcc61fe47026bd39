"""PostgreSQL for this service: its schema, how long anyone waits for it, and how an event is stored.

Owns deadlines and the translation of the driver's errors. Must not decide what is stored or when to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_servicekit.postgres import Pool, load_queries
from meetai_servicekit.tracing import current_traceparent
from meetai_webhook_bridge.domain.errors import MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.domain.events import OutboundEvent

SCHEMA: Final = "webhook_bridge"
UNREADABLE: Final = "unreadable"
"""What the ledger calls an entry that isn't an event: no name that Inngest could get."""
MIGRATIONS: Final = Path(__file__).with_name("migrations")
MAX_CONNECTIONS: Final = 8
MAX_WAITING: Final = 64
"""Callers; the next is told at once that the database is away. Eight connections serve this many within 0.1 s at 10 ms a commit,
so that only a dead pool has such a queue."""
CONNECTION_SECONDS: Final = 1.0
DEADLINE_SECONDS: Final = 1.5
"""LiveKit has given up after 15 s and five attempts (FACTS, webhooks): each must be answered soon, whatever the database does."""

QUERIES: Final = {
    name: query
    for file in ("queries.sql", "rooms.sql", "ledger.sql", "erasure.sql", "retention.sql")
    for name, query in load_queries(Path(__file__).with_name(file)).items()
}

T = TypeVar("T")
Work = Callable[[AsyncConnection[TupleRow]], Awaitable[T]]


class PostgresStore:
    """What the adapters over the pool share."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ending: set[asyncio.Task[Any]] = set()

    async def _fetch(self, query: str, row: Mapping[str, Any]) -> list[TupleRow]:
        async def fetch(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
            cursor = await connection.execute(QUERIES[query], row)
            return await cursor.fetchall()

        return await self._run(fetch)

    async def _execute(self, query: str, row: Mapping[str, Any]) -> None:
        async def execute(connection: AsyncConnection[TupleRow]) -> None:
            await connection.execute(QUERIES[query], row)

        await self._run(execute)

    async def _run(self, work: Work[T], *, deadline_seconds: float = DEADLINE_SECONDS) -> T:
        """Run work in a transaction of its own, within the deadline.

        A frozen server makes psycopg spend up to 10 s on cancelling a query. The caller isn't kept for that: the task is
        left to end by itself, and what it may still commit is harmless, because every statement here can be repeated.

        Raises:
            StoreAwayError: no answer in time, no connection, or the schema isn't there.
        """
        task = asyncio.create_task(self._transact(work), name="postgres")
        try:
            await asyncio.wait({task}, timeout=deadline_seconds)
            if not task.done():
                raise StoreAwayError("no answer in time")
            return task.result()
        finally:
            if not task.done():
                self._leave_to_end(task)

    async def _transact(self, work: Work[T]) -> T:
        try:
            async with self._pool.connection(timeout=CONNECTION_SECONDS) as connection:
                return await work(connection)
        except psycopg.DataError as error:
            raise MalformedWebhookError(type(error).__name__) from error
        except psycopg.Error as error:
            raise StoreAwayError(type(error).__name__) from error

    def _leave_to_end(self, task: asyncio.Task[Any]) -> None:
        def ended(task: asyncio.Task[Any]) -> None:
            self._ending.discard(task)
            _ = task.cancelled() or task.exception()

        self._ending.add(task)
        task.add_done_callback(ended)
        task.cancel()


async def insert_event(connection: AsyncConnection[TupleRow], event: OutboundEvent) -> None:
    """Put an event into the outbox, unless one with its id is there."""
    await connection.execute(QUERIES["insert_event"], outbox_row(event))


def outbox_row(outbound: OutboundEvent) -> dict[str, Any]:
    """An event as a row, with the trace that it is stored in."""
    event = outbound.event
    return {
        "id": event.id,
        "name": event.name,
        "source": outbound.source,
        "meeting_id": outbound.meeting_id,
        "room_sid": outbound.room_sid,
        "occurred_at": event.occurred_at,
        "data": jsonb(event.data),
        "traceparent": current_traceparent(),
    }


def jsonb(value: object) -> Jsonb:
    """A value for a jsonb column."""
    return Jsonb(value, dumps=msgspec.json.encode)
