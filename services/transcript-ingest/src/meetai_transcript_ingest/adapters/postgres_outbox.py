"""The outbox in PostgreSQL: commits note which rooms they may have completed, and what is told is decided when these are quiet.

Owns what "complete" means in terms of rows (the words are `Integrity`'s), and the claims of the relay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_contracts.events import TRANSCRIPT_COMPLETED, DomainEvent, TranscriptCompleted, transcript_completed_id
from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.ports import Unsent

OUTBOX_TIMEOUT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""

_QUERIES: Final = load_queries(Path(__file__).parent / "outbox.sql")


async def note_endings(connection: AsyncConnection[TupleRow], room_sids: Collection[str]) -> None:
    """Say that the running transaction may complete these rooms, in one order for all who do."""
    if room_sids:
        await connection.execute(_QUERIES["note_endings"], {"room_sids": sorted(room_sids)})


async def _complete(connection: AsyncConnection[TupleRow], room_sids: Collection[str]) -> int:
    """Put an event into the outbox for each of these rooms that is complete; returns how many were."""
    ordered = sorted(room_sids)
    cursor = await connection.execute(
        _QUERIES["completed_rooms"],
        {"room_sids": ordered, "event_ids": [transcript_completed_id(room_sid) for room_sid in ordered]},
    )
    completed = await cursor.fetchall()
    for event_id, meeting_id, room_sid, lines, completed_at in completed:
        told = TranscriptCompleted(meeting_id=meeting_id, room_sid=room_sid, lines=lines, completed_at=completed_at)
        await connection.execute(
            _QUERIES["insert_event"],
            {
                "id": event_id,
                "name": TRANSCRIPT_COMPLETED,
                "occurred_at": completed_at,
                "data": Jsonb(msgspec.to_builtins(told)),
            },
        )
    return len(completed)


class PostgresOutbox:
    """`Outbox` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def complete_quiet_rooms(self, *, quiet_seconds: float, limit: int) -> int:
        """See `Outbox.complete_quiet_rooms`. One transaction: a crash leaves the rooms to whoever looks next."""
        with postgres_errors_translated():
            async with asyncio.timeout(OUTBOX_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(
                    _QUERIES["quiet_rooms"], {"quiet_seconds": quiet_seconds, "batch": limit}
                )
                rooms = [room_sid for (room_sid,) in await cursor.fetchall()]
                return await _complete(connection, rooms) if rooms else 0

    async def claim(self, *, limit: int, lease_seconds: float) -> tuple[DomainEvent, ...]:
        """See `Outbox.claim`."""
        rows = await self._run("claim_events", {"batch": limit, "lease_seconds": lease_seconds})
        return tuple(
            [
                DomainEvent(v=1, id=event_id, name=name, occurred_at=occurred_at, data=data)
                for event_id, name, occurred_at, data in rows
            ]
        )

    async def mark_sent(self, event_ids: Sequence[str]) -> None:
        """See `Outbox.mark_sent`."""
        await self._run("mark_events_sent", {"ids": list(event_ids)})

    async def unsent(self) -> Unsent:
        """See `Outbox.unsent`."""
        ((count, oldest_seconds),) = await self._run("unsent_events", {})
        return Unsent(count, oldest_seconds)

    async def _run(self, query: str, values: dict[str, object]) -> list[TupleRow]:
        with postgres_errors_translated():
            async with asyncio.timeout(OUTBOX_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(_QUERIES[query], values)
                return await cursor.fetchall() if cursor.description else []
