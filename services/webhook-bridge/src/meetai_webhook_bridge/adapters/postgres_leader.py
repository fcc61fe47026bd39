"""One replica leads, by a lock that PostgreSQL takes back when its session ends.

Owns the session that holds the lock, and hears on it what is worth a look at once. Must not know what a leader does.

A machine that is gone loses the lead within seconds. A process that is only frozen keeps it, since its kernel answers for it;
its platform has to end it, as its `/livez` doesn't answer. The session itself has no time limit, because a look has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_servicekit.postgres import CONNECT_TIMEOUT_SECONDS
from meetai_webhook_bridge.adapters.postgres import QUERIES, SCHEMA
from meetai_webhook_bridge.domain.errors import StoreAwayError

WAKE_CHANNEL: Final = "webhook_bridge_wake"
"""As in `rooms.sql`."""
ANSWER_SECONDS: Final = 3.0
GONE_MACHINE: Final = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000"
)
"""The server must notice within seconds that a leader's machine is gone, or nobody could lead until the system's own two hours
are over. The last, in ms, is for when a wake is on its way: keepalives aren't sent then (tcp(7)). PostgreSQL has all of them
since 12, and ignores them on a Unix socket."""


class Lead:
    """Leadership, while the session lives."""

    def __init__(self, connection: AsyncConnection[TupleRow]) -> None:
        self._connection = connection

    async def wait(self, seconds: float) -> None:
        """Return after that time, or as soon as somebody says that a look is worth it.

        Raises:
            StoreAwayError: the session has ended, and the lead with it.
        """
        try:
            async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError) as error:
            raise StoreAwayError(type(error).__name__) from error


class PostgresLeadership:
    """Gives the lead to one replica at a time."""

    def __init__(self, database_url: str, *, application: str) -> None:
        self._database_url = database_url
        self._application = application

    @asynccontextmanager
    async def sought(self) -> AsyncGenerator[Lead | None]:
        """Lead within the block; None when somebody else does.

        Raises:
            StoreAwayError: the database is away.
        """
        try:
            connection = await open_session(self._database_url, application=f"{self._application} leader")
        except (psycopg.Error, TimeoutError) as error:
            raise StoreAwayError(type(error).__name__) from error
        try:
            yield await self._lead(connection)
        finally:
            await connection.close()

    async def _lead(self, connection: AsyncConnection[TupleRow]) -> Lead | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                cursor = await connection.execute(QUERIES["take_lead"])
                row = await cursor.fetchone()
                if row is None or not row[0]:
                    return None
                await connection.execute(f"LISTEN {WAKE_CHANNEL}")
        except (psycopg.Error, TimeoutError) as error:
            raise StoreAwayError(type(error).__name__) from error
        return Lead(connection)


async def open_session(database_url: str, *, application: str) -> AsyncConnection[TupleRow]:
    """A session that the server ends soon after its client's machine is gone."""
    return await AsyncConnection.connect(
        database_url,
        autocommit=True,
        application_name=application,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        options=f"-c search_path={SCHEMA} {GONE_MACHINE}",
    )
