"""PostgreSQL: a pool, queries by name out of `.sql` files, and migrations under an advisory lock.

Owns how the two services with tables reach theirs. A service names its own schema and keeps to it.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, LiteralString, cast
from weakref import WeakKeyDictionary

import aiosql
import psycopg
import structlog
import yoyo
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, TooManyRequests

from meetai_servicekit.health import NotReadyError

CONNECT_TIMEOUT_SECONDS: Final = 3
STATEMENT_TIMEOUT_MS: Final = 10_000
MIGRATION_LOCK_TIMEOUT_MS: Final = 60_000
POOL_TIMEOUT_SECONDS: Final = 2.0
RECONNECT_SECONDS: Final = 2.0
"""How long one attempt to reconnect goes on before a caller must ask anew. psycopg's own 5 min double the wait between
tries up to minutes, so that a pool could stay dead that long after the server is back."""

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]
Queries = Mapping[str, LiteralString]

log = structlog.get_logger()


class _GatedPool(AsyncConnectionPool[AsyncConnection[TupleRow]]):
    """A pool that so many callers may hold a connection of or wait for; while none is to be had, one at a time asks for it again.

    Not the pool's own `max_waiting`: callers that gave up stay in its queue until there is a connection (psycopg-pool 3.3.3),
    and while the queue is full it doesn't try to connect. After an outage under load it stayed dead for good [M].
    """

    at_once: float = math.inf
    _holding = 0
    _asking = 0
    _is_away = False

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncGenerator[AsyncConnection[TupleRow]]:  # noqa: ASYNC109 - as the pool's own
        """See `AsyncConnectionPool.connection`.

        Raises:
            TooManyRequests: as many as may are waiting; nothing was tried.
        """
        full = self._asking >= 1 if self._is_away else self._asking + self._holding >= self.at_once
        if full and self.at_once < math.inf:
            raise TooManyRequests("others are waiting for it")
        async with AsyncExitStack() as stack:
            self._asking += 1
            try:
                connection = await stack.enter_async_context(super().connection(timeout))
            except psycopg.OperationalError:
                self._is_away = True
                raise
            finally:
                self._asking -= 1
            self._is_away = False
            self._holding += 1
            try:
                yield connection
            finally:
                self._holding -= 1


def load_queries(file: Path) -> Queries:
    """Read the queries of a `.sql` file, by the names in its `-- name: f(id)` comments; `:id` becomes psycopg's `%(id)s`."""
    queries = aiosql.from_path(file, "psycopg")
    return {
        name: cast("LiteralString", getattr(queries, name).sql)
        for name in queries.available_queries
        if not name.endswith("_cursor")
    }


def create_pool(
    database_url: str,
    *,
    schema: str,
    min_size: int,
    max_size: int,
    application: str,
    max_waiting: int | None = None,
    trusted_seconds: float = 0,
    one_snapshot: bool = False,
) -> Pool:
    """A pool that isn't open yet; opening it doesn't wait for the server, so that a service starts while Postgres is away.

    `max_waiting` callers may wait for a connection, None for any number; one more is refused at once, with
    `psycopg_pool.TooManyRequests`, which is an `OperationalError`.

    A connection that answered within the last `trusted_seconds` is handed out without being asked again, which saves a round
    trip. Only for callers that try again: one that has been lost meanwhile fails them.

    With `one_snapshot` all statements of a transaction see what the first one saw. Only for readers: a write may be refused for it.
    """

    async def check(connection: AsyncConnection[TupleRow]) -> None:
        now = time.monotonic()
        if now - answered.get(connection, -math.inf) > trusted_seconds:
            await AsyncConnectionPool.check_connection(connection)
            answered[connection] = now

    answered: WeakKeyDictionary[AsyncConnection[TupleRow], float] = WeakKeyDictionary()
    pool = _GatedPool(
        database_url,
        open=False,
        min_size=min_size,
        max_size=max_size,
        timeout=POOL_TIMEOUT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        name=application,
        check=check if trusted_seconds else AsyncConnectionPool.check_connection,
        kwargs={
            "application_name": application,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": f"-c search_path={schema} -c statement_timeout={STATEMENT_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC"
            + (r" -c default_transaction_isolation=repeatable\ read" if one_snapshot else ""),
        },
    )
    if max_waiting is not None:
        pool.at_once = max_size + max_waiting
    return pool


def migrate(database_url: str, *, schema: str, migrations: Path) -> int:
    """Bring a schema up to date; returns how many migrations were applied. Safe to run from several places at once.

    yoyo keeps its own tables in the same schema. Its lock row outlives a killed process, so an advisory lock stands round it
    and the row is broken first: whoever holds the advisory lock is alone.

    Raises:
        psycopg.Error: the server is away, or a migration failed (none of that migration is then applied).
    """
    url = _with_search_path(database_url, schema)
    with psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS) as guard:
        guard.execute("SELECT set_config('lock_timeout', %s, false)", [f"{MIGRATION_LOCK_TIMEOUT_MS}ms"])
        guard.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"meetai-migrate-{schema}"])
        guard.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backend = yoyo.get_backend(url, migration_table="migrations")
        try:
            backend.break_lock()
            pending = backend.to_apply(yoyo.read_migrations(str(migrations)))
            with backend.lock():
                backend.apply_migrations(pending)
        finally:
            backend.connection.close()
    log.info("migrations_applied", schema=schema, applied=len(pending))
    return len(pending)


def expected_migrations(migrations: Path) -> frozenset[str]:
    """The ids of the migrations that this code was written for."""
    return frozenset(migration.id for migration in yoyo.read_migrations(str(migrations)))


async def check_schema(pool: Pool, expected: frozenset[str]) -> None:
    """Readiness: the server answers and every migration that this code expects is applied. Newer ones are fine.

    Raises:
        NotReadyError: says which migration is missing.
    """
    try:
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT migration_id FROM migrations")
            applied = {row[0] for row in await cursor.fetchall()}
    except psycopg.errors.UndefinedTable:
        applied = set()
    missing = sorted(expected - applied)
    if missing:
        raise NotReadyError(f"schema is older than this service: migration {missing[0]} is missing; run migrate")


def _with_search_path(database_url: str, schema: str) -> str:
    scheme, _, rest = database_url.partition("://")
    separator = "&" if "?" in rest else "?"
    return f"{scheme}+psycopg://{rest}{separator}schema={schema}"
