"""What an upgrade leaves to do in PostgreSQL beside the running service: lines without a position are given one.

They are those that were stored before positions came, and those of a replica of the version before (ADR 0020). Must not hold
up the writers: a few at a time, each batch a transaction, and nothing that somebody else has locked.
"""

from __future__ import annotations

import asyncio
from typing import Final

from meetai_servicekit.postgres import Pool
from meetai_transcript_ingest.adapters.postgres import QUERIES, postgres_errors_translated
from meetai_transcript_ingest.adapters.postgres_store import COMMIT_TIMEOUT_SECONDS

PLACE_BATCH_LINES: Final = 1_000
"""About 20 ms; a meeting's writer waits that long at the most."""


class PostgresUpgrade:
    """Works through the writers' pool, one partition at a time, so that it never locks them all."""

    def __init__(self, pool: Pool, *, batch_lines: int = PLACE_BATCH_LINES) -> None:
        self._pool = pool
        self._batch_lines = batch_lines

    async def place_lines(self) -> int:
        """See `Upgrade.place_lines`."""
        placed = 0
        for partition in await self._partitions():
            while batch := await self._place(partition):
                placed += batch
        return placed

    async def _partitions(self) -> list[str]:
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["line_partitions"])
                return [row[0] for row in await cursor.fetchall()]

    async def _place(self, partition: str) -> int:
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(
                    QUERIES["place_lines"], {"partition": partition, "at_most": self._batch_lines}
                )
                row = await cursor.fetchone()
                return int(row[0]) if row else 0
