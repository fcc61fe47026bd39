"""The inbox of webhooks and the outbox of events, in PostgreSQL.

Must not decide what is stored or when to try again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_contracts.events import DomainEvent
from meetai_servicekit.postgres import Pool
from meetai_webhook_bridge.adapters.postgres import QUERIES, UNREADABLE, PostgresStore, insert_event, jsonb, outbox_row
from meetai_webhook_bridge.adapters.postgres_rooms import ask_for_rooms, follow, known_rooms
from meetai_webhook_bridge.domain.delivery import Backlog, ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.meetings import GRACE, RoomFacts, hear
from meetai_webhook_bridge.domain.webhooks import Webhook

ENTRIES_DEADLINE_SECONDS: Final = 8.0
"""For a set of up to 250 entries (0.1 s when nothing else is going on); the stream waits, LiveKit doesn't."""


class PostgresInbox(PostgresStore):
    """Keeps the promises of the ports `Inbox` and `Outbox`."""

    def __init__(self, pool: Pool, *, grace: timedelta = GRACE) -> None:
        super().__init__(pool)
        self._grace = grace

    async def accept(self, webhook: Webhook, event: OutboundEvent | None, told: RoomFacts | None = None) -> bool:
        """Store all for good, in one transaction; false when this webhook was stored before."""
        room = webhook.room
        row = {
            "id": webhook.id,
            "event": webhook.event,
            "room_sid": room.sid if room else None,
            "room_name": room.name if room else None,
            "body": jsonb(webhook.body),
        }

        async def insert(connection: AsyncConnection[TupleRow]) -> bool:
            async with connection.pipeline():  # what needs no answer in between goes in one trip
                inserted = await connection.execute(QUERIES["insert_webhook"], row)
                asked = await ask_for_rooms(connection, told.name) if told is not None else None
            if inserted.rowcount == 0:
                return False
            if event is not None:
                await insert_event(connection, event)
            if told is not None and asked is not None:
                await follow(connection, hear(await known_rooms(asked), told, self._grace))
            if webhook.event == "participant_left" and webhook.is_of_agent:
                await connection.execute(QUERIES["notify_leader"])
            return True

        return await self._run(insert)

    async def accept_entries(self, entries: Sequence[StreamEntry]) -> int:
        """Store them for good, in one transaction; returns how many were new."""
        events = [outbox_row(entry.event) for entry in entries if entry.event]
        unreadable = [_unreadable_row(entry) for entry in entries if entry.event is None]

        async def insert(connection: AsyncConnection[TupleRow]) -> int:
            async with connection.cursor() as cursor:
                new = 0
                for query, rows in (("insert_event", events), ("insert_unreadable", unreadable)):
                    if rows:
                        await cursor.executemany(QUERIES[query], rows)
                        new += cursor.rowcount
                return new

        return await self._run(insert, deadline_seconds=ENTRIES_DEADLINE_SECONDS)

    async def claim_due(self, *, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        """Take events that are due, at most one a room, and keep others from them until the lease ends."""
        rows = await self._fetch("claim_due", {"batch": limit, "lease_seconds": lease_seconds})
        return [
            ClaimedEvent(
                event=DomainEvent(v=1, id=event_id, name=name, occurred_at=occurred_at, data=data),
                attempt=attempts,
                source=source,
                waited_seconds=waited_seconds,
                traceparent=traceparent,
            )
            for event_id, name, occurred_at, data, attempts, source, traceparent, waited_seconds in rows
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
        "data": jsonb(about),
        "reason": entry.reason,
        "payload": entry.payload,
    }
