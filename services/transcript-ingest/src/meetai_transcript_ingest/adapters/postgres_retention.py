"""`Retention` on PostgreSQL: whole partitions where there are some, bounded batches where there are none.

Owns how little anybody waits for it. Must not decide how long anything is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Final, cast

import structlog
from psycopg import AsyncConnection, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.rows import TupleRow

from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.domain.producers import UNDATED

EXPIRY_TIMEOUT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""
LOCK_TIMEOUT: Final = "200ms"
"""What a commit may have to wait for a partition to be dropped, at most. The issue's p99 is 25 ms; this is once a day, and
only where somebody reads for that long just then."""
BATCH_ROWS: Final = 2_000
"""As in an erasure."""

_QUERIES: Final = load_queries(Path(__file__).parent / "retention.sql")

log = structlog.get_logger()


class PostgresRetention:
    """Shares the writers' pool, one connection at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def now(self) -> datetime:
        """See `Retention.now`."""
        async with self._transaction() as connection:
            (now,) = await (await connection.execute(_QUERIES["store_time"])).fetchone() or ()
        return cast("datetime", now)

    async def drop_partitions(self, before: date) -> tuple[int, bool]:
        """See `Retention.drop_partitions`."""
        dropped = 0
        while True:
            try:
                async with self._transaction() as connection:
                    await connection.execute(_QUERIES["wait_briefly"], {"lock_timeout": LOCK_TIMEOUT})
                    await connection.execute(_QUERIES["lock_partitions"])
                    name = await _drop_oldest(connection, before)
            except TryLaterError as error:
                if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                    raise
                log.info("partition_in_use")
                return dropped, False
            if name is None:
                return dropped, True
            dropped += 1
            log.info("partition_dropped", partition=name)

    async def expire_some(self, before: datetime, *, audit_before: datetime) -> Mapping[str, int]:
        """See `Retention.expire_some`."""
        values = {"before": before, "undated": UNDATED, "batch": BATCH_ROWS}
        by_day = {**values, "before": before.date()}
        async with self._transaction() as connection:
            await connection.execute(_QUERIES["wait_briefly"], {"lock_timeout": LOCK_TIMEOUT})
            gone = {
                "producers": await _counted(connection, "forget_producers", by_day)
                + await _counted(connection, "forget_undated_producers", values),
                "lines": await _expire_default_lines(connection, values),
                "dead_letters": (await connection.execute(_QUERIES["expire_dead_letters"], values)).rowcount,
                "summaries": (await connection.execute(_QUERIES["expire_summaries"], by_day)).rowcount,
                "events": (await connection.execute(_QUERIES["expire_events"], values)).rowcount,
                "erasures": (await connection.execute(_QUERIES["expire_erasures"], values)).rowcount,
                "audit": (
                    await connection.execute(_QUERIES["expire_audit"], {**values, "before": audit_before})
                ).rowcount,
            }
        return {what: count for what, count in gone.items() if count}

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncConnection[TupleRow]]:
        with postgres_errors_translated():
            async with asyncio.timeout(EXPIRY_TIMEOUT_SECONDS), self._pool.connection() as connection:
                yield connection


async def _drop_oldest(connection: AsyncConnection[TupleRow], before: date) -> str | None:
    """Asked under the lock, one at a time: another replica may have dropped what an earlier answer named."""
    expired = await (await connection.execute(_QUERIES["oldest_expired_partition"], {"before": before})).fetchone()
    if expired is None:
        return None
    name, day = expired
    await connection.execute(_QUERIES["forget_day"], {"day": day})
    await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
    return str(name)


async def _expire_default_lines(connection: AsyncConnection[TupleRow], values: Mapping[str, object]) -> int:
    gone = 0
    expired = await connection.execute(_QUERIES["expired_default_lines"], values)
    for day, producer_id, seq in await expired.fetchall():
        row = {"producer_started": day, "producer_id": producer_id, "seq": seq}
        gone += (await connection.execute(_QUERIES["expire_lines"], row)).rowcount
    return gone


async def _counted(connection: AsyncConnection[TupleRow], query: str, values: Mapping[str, object]) -> int:
    row = await (await connection.execute(_QUERIES[query], values)).fetchone()
    return int(row[0]) if row else 0
