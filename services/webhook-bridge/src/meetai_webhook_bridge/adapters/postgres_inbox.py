"""The inbox of webhooks, the outbox of events and the ledger, in PostgreSQL.

Owns the schema `webhook_bridge` and how long anyone waits for it. Must not decide what is stored or when to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_contracts.api import LedgerEntry, LedgerPage
from meetai_contracts.events import DomainEvent
from meetai_servicekit.postgres import Pool, load_queries
from meetai_webhook_bridge.domain.delivery import Backlog, ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.errors import MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.webhooks import Webhook
from meetai_webhook_bridge.ports import LedgerQuery

SCHEMA: Final = "webhook_bridge"
UNREADABLE: Final = "unreadable"
"""What the ledger calls an entry that isn't an event: no name that Inngest could get."""
MIGRATIONS: Final = Path(__file__).with_name("migrations")
MAX_CONNECTIONS: Final = 8
MAX_WAITING: Final = 64
"""Callers that may wait for a connection; the next is told at once that the database is away. Eight connections serve
this many within 0.1 s at 10 ms a commit, so that only a dead pool has such a queue."""
CONNECTION_SECONDS: Final = 1.0
DEADLINE_SECONDS: Final = 1.5
"""LiveKit has given up after 15 s and five attempts (FACTS, webhooks): each must be answered soon, whatever the database does."""

ENTRIES_DEADLINE_SECONDS: Final = 8.0
"""For a set of up to 250 entries (0.1 s when nothing else is going on); the stream waits, LiveKit doesn't."""

_QUERIES: Final = load_queries(Path(__file__).with_name("queries.sql"))

T = TypeVar("T")
Work = Callable[[AsyncConnection[TupleRow]], Awaitable[T]]


class PostgresInbox:
    """Keeps the promises of the ports `Inbox`, `Outbox` and `Ledger`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ending: set[asyncio.Task[Any]] = set()

    async def accept(self, webhook: Webhook, event: OutboundEvent | None) -> bool:
        """Store both for good, in one transaction; false when this webhook was stored before."""
        room = webhook.room
        row = {
            "id": webhook.id,
            "event": webhook.event,
            "room_sid": room.sid if room else None,
            "room_name": room.name if room else None,
            "body": _jsonb(webhook.body),
        }

        async def insert(connection: AsyncConnection[TupleRow]) -> bool:
            inserted = await connection.execute(_QUERIES["insert_webhook"], row)
            if inserted.rowcount and event is not None:
                await connection.execute(_QUERIES["insert_event"], _outbox_row(event))
            return inserted.rowcount == 1

        return await self._run(insert)

    async def accept_entries(self, entries: Sequence[StreamEntry]) -> int:
        """Store them for good, in one transaction; returns how many were new."""
        events = [_outbox_row(entry.event) for entry in entries if entry.event]
        unreadable = [_unreadable_row(entry) for entry in entries if entry.event is None]

        async def insert(connection: AsyncConnection[TupleRow]) -> int:
            async with connection.cursor() as cursor:
                new = 0
                for query, rows in (("insert_event", events), ("insert_unreadable", unreadable)):
                    if rows:
                        await cursor.executemany(_QUERIES[query], rows)
                        new += cursor.rowcount
                return new

        return await self._run(insert, deadline_seconds=ENTRIES_DEADLINE_SECONDS)

    async def claim_due(self, *, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        """Take events that are due, at most one a room, and keep others from them until the lease ends."""
        rows = await self._fetch("claim_due", {"batch": limit, "lease_seconds": lease_seconds})
        return [
            ClaimedEvent(
                event=DomainEvent(v=1, id=event_id, name=name, occurred_at=occurred_at, data=data), attempt=attempts
            )
            for event_id, name, occurred_at, data, attempts in rows
        ]

    async def mark_sent(self, event_id: str) -> None:
        """Say that an event was delivered."""
        await self._execute("mark_sent", {"id": event_id})

    async def mark_failed(self, claimed: ClaimedEvent, *, reason: str, retry_after_seconds: float | None) -> None:
        """Say that an attempt failed; void if someone has claimed the event since."""
        row = {"id": claimed.event.id, "attempt": claimed.attempt, "reason": reason}
        if retry_after_seconds is None:
            await self._execute("mark_dead", row)
        else:
            await self._execute("mark_failed", {**row, "retry_after_seconds": retry_after_seconds})

    async def backlog(self) -> Backlog:
        """Count what isn't delivered."""
        ((pending, dead, oldest_pending_seconds),) = await self._fetch("backlog", {})
        return Backlog(pending=pending, dead=dead, oldest_pending_seconds=oldest_pending_seconds)

    async def page(self, query: LedgerQuery) -> LedgerPage:
        """One page of the ledger, newest first; the cursor is the position of its last event."""
        row = {"state": query.state, "meeting_id": query.meeting_id, "before": query.before, "batch": query.limit + 1}
        rows = await self._fetch("list_events", row)
        shown = rows[: query.limit]
        more = len(rows) > len(shown)
        return LedgerPage(events=tuple(_entry(row) for row in shown), next=str(shown[-1][0]) if more else None)

    async def _fetch(self, query: str, row: Mapping[str, Any]) -> list[TupleRow]:
        async def fetch(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
            cursor = await connection.execute(_QUERIES[query], row)
            return await cursor.fetchall()

        return await self._run(fetch)

    async def _execute(self, query: str, row: Mapping[str, Any]) -> None:
        async def execute(connection: AsyncConnection[TupleRow]) -> None:
            await connection.execute(_QUERIES[query], row)

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


def _outbox_row(outbound: OutboundEvent) -> dict[str, Any]:
    event = outbound.event
    return {
        "id": event.id,
        "name": event.name,
        "source": outbound.source,
        "meeting_id": outbound.meeting_id,
        "room_sid": outbound.room_sid,
        "occurred_at": event.occurred_at,
        "data": _jsonb(event.data),
    }


def _unreadable_row(entry: StreamEntry) -> dict[str, Any]:
    about = {
        "stream": entry.stream,
        "entryId": entry.entry_id,
        "reason": entry.reason,
        "payloadBytes": len(entry.payload),
    }
    return {
        "id": entry.ledger_id,
        "name": UNREADABLE,
        "source": "stream",
        "data": _jsonb(about),
        "reason": entry.reason,
        "payload": entry.payload,
    }


def _entry(row: TupleRow) -> LedgerEntry:
    _position, event_id, name, source, room_sid, received_at, state, attempts, data, sent_at = row
    return LedgerEntry(
        id=event_id,
        name=name,
        source=source,
        room_sid=room_sid,
        received_at=received_at,
        state=state,
        attempts=attempts,
        data=data,
        sent_at=sent_at,
    )


def _jsonb(value: object) -> Jsonb:
    return Jsonb(value, dumps=msgspec.json.encode)
