"""`Erasure` in PostgreSQL: after it ids, times and states of a meeting are left.

Each part has a transaction of its own, so that what is done stays done when a later one fails. Owns which parts of a row are
somebody's words. Must not decide who may ask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_contracts.events import ROOM_FINISHED, TRANSCRIPT_COMPLETED
from meetai_webhook_bridge.adapters.postgres import QUERIES, PostgresStore

WORDLESS: Final = (ROOM_FINISHED, TRANSCRIPT_COMPLETED)
"""Events of ids, times and counts alone; they are delivered as if nothing had happened."""
ERASE_SECONDS: Final = 8.0
"""For one part. The inbox has no index by meeting; an hour of it, at 200 webhooks a second, takes 0.7 s."""


class PostgresErasure(PostgresStore):
    """Keeps the promise of the port `Erasure`."""

    async def erase(self, meeting_id: str) -> Mapping[str, int]:
        """See `Erasure.erase`. May be repeated after it failed."""
        named = {"meeting_id": meeting_id}
        await self._changed("name_events", named)
        counts = {
            "events": await self._changed("erase_events", {**named, "kept": list(WORDLESS)}),
            "webhooks": 0,
            "rooms": await self._changed("erase_rooms", named),
            "unreadable": await self._changed("erase_unreadable", {"needles": _written(meeting_id)}),
        }
        for first, last in await self._fetch("hours_of_rooms", named):
            counts["webhooks"] += await self._changed("erase_webhooks", {**named, "first": first, "last": last})
        return counts

    async def _changed(self, query: str, row: Mapping[str, Any]) -> int:
        async def change(connection: AsyncConnection[TupleRow]) -> int:
            return (await connection.execute(QUERIES[query], row)).rowcount

        return await self._run(change, deadline_seconds=ERASE_SECONDS)


def _written(meeting_id: str) -> list[bytes]:
    """An id as it stands in JSON, in JSON of ASCII alone, and in an entry without the field of an event (`open_entry`)."""
    return [
        msgspec.json.encode(meeting_id),
        json.dumps(meeting_id).encode(),
        msgspec.msgpack.encode(meeting_id.encode()),
    ]
