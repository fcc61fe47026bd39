"""`Erasure` in PostgreSQL: one transaction, after which ids, times and states of a meeting are left.

Owns which parts of a row are somebody's words. Must not decide who may ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_contracts.events import ROOM_FINISHED, TRANSCRIPT_COMPLETED
from meetai_webhook_bridge.adapters.postgres import QUERIES, PostgresStore

WORDLESS: Final = (ROOM_FINISHED, TRANSCRIPT_COMPLETED)
"""Events of ids, times and counts alone; they are delivered as if nothing had happened."""
ERASE_SECONDS: Final = 8.0
"""The inbox has no index by meeting; its index by time is read for as long as the meeting lasted."""


class PostgresErasure(PostgresStore):
    """Keeps the promise of the port `Erasure`."""

    async def erase(self, meeting_id: str) -> Mapping[str, int]:
        """See `Erasure.erase`."""
        named = {"meeting_id": meeting_id}

        async def erase(connection: AsyncConnection[TupleRow]) -> Mapping[str, int]:
            events = await connection.execute(QUERIES["erase_events"], {**named, "kept": list(WORDLESS)})
            webhooks = await connection.execute(QUERIES["erase_webhooks"], named)
            rooms = await connection.execute(QUERIES["erase_rooms"], named)
            needle = {"needle": meeting_id.encode()}
            unreadable = await connection.execute(QUERIES["erase_unreadable"], needle)
            return {
                "events": events.rowcount,
                "webhooks": webhooks.rowcount,
                "rooms": rooms.rowcount,
                "unreadable": unreadable.rowcount,
            }

        return await self._run(erase, deadline_seconds=ERASE_SECONDS)
