"""`Summaries` on PostgreSQL: one row a meeting, written under the meeting's lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_contracts.summary import MeetingSummary, StoredSummary
from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.adapters.postgres_archive import refuse_erased
from meetai_transcript_ingest.domain.erasing import Tombstone
from meetai_transcript_ingest.domain.summaries import check_match, oldest_day, says

SUMMARY_TIMEOUT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""

_QUERIES: Final = load_queries(Path(__file__).parent / "summaries.sql")


class PostgresSummaries:
    """Reads and writes through pools that it shares, one connection at a time."""

    def __init__(self, readers: Pool, writers: Pool) -> None:
        self._readers = readers
        self._writers = writers

    async def get(self, meeting_id: str) -> StoredSummary | None:
        """See `Summaries.get`."""
        async with _transaction(self._readers) as connection:
            stored = await _stored(connection, "summary", {"meeting_id": meeting_id})
            if stored is None:
                await refuse_erased(connection, meeting_id)
            return stored

    async def put(
        self, meeting_id: str, summary: MeetingSummary, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[StoredSummary, bool]:
        """See `Summaries.put`."""
        named = {"meeting_id": meeting_id}
        async with _transaction(self._writers) as connection:
            row = await (await connection.execute(_QUERIES["lock_meeting"], named)).fetchone()
            tombstone = Tombstone(row[0], frozenset(row[1])) if row and row[0] is not None else None
            days = await connection.execute(
                _QUERIES["days_of_producers"], {**named, "producer_ids": list(summary.producer_ids)}
            )
            oldest = oldest_day(summary, dict(await days.fetchall()), tombstone)
            before = await _stored(connection, "stored_summary", named)
            check_match(before, if_match=if_match, if_none_match=if_none_match)
            if before is not None and says(before, summary):
                return before, False
            kept = {**named, "summary": Jsonb(summary, dumps=msgspec.json.encode), "oldest_day": oldest}
            stored = await _stored(connection, "store_summary", kept)
            if stored is None:
                raise RuntimeError("an upsert without a condition returned no row")
        return stored, before is None


async def _stored(
    connection: AsyncConnection[TupleRow], query: str, values: Mapping[str, object]
) -> StoredSummary | None:
    row = await (await connection.execute(_QUERIES[query], values)).fetchone()
    if row is None:
        return None
    return msgspec.convert({**row[0], "meetingId": values["meeting_id"], "storedAt": row[1]}, StoredSummary)


@asynccontextmanager
async def _transaction(pool: Pool) -> AsyncGenerator[AsyncConnection[TupleRow]]:
    with postgres_errors_translated():
        async with asyncio.timeout(SUMMARY_TIMEOUT_SECONDS), pool.connection() as connection:
            yield connection
