"""Wake-ups from PostgreSQL: LISTEN on one connection a process, whoever follows whatever.

Owns the connection. What is missed while there is none doesn't matter: everybody is woken when there is one again. A pooler in
transaction mode can't carry LISTEN; followers then read at each sign of life instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from psycopg import AsyncConnection

from meetai_servicekit.postgres import CONNECT_TIMEOUT_SECONDS
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.domain.tail import EVERYONE

PROBE_SECONDS: Final = 10.0
"""A connection that the network has forgotten says nothing, which is what one without news says too."""
PROBE_TIMEOUT_SECONDS: Final = 5.0

log = structlog.get_logger()


class PostgresWakeups:
    """Hands on what `declare_producers` notifies.

    Args:
        database_url: Not through a pool: the connection is kept.
        wake: Is given each payload.
        application: The connection's name.
    """

    def __init__(self, database_url: str, *, wake: Callable[[str], None], application: str) -> None:
        self._database_url = database_url
        self._wake = wake
        self._application = application

    async def listen(self) -> None:
        """Listen until the connection is lost.

        Raises:
            TryLaterError: there was none to be had.
        """
        with postgres_errors_translated():
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS + PROBE_TIMEOUT_SECONDS):
                connection = await AsyncConnection.connect(
                    self._database_url,
                    autocommit=True,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    application_name=self._application,
                )
        try:
            with postgres_errors_translated():
                async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                    await connection.execute("LISTEN meetai_transcript_lines")
            await self._hand_on(connection)
        finally:
            await connection.close()

    async def _hand_on(self, connection: AsyncConnection) -> None:
        self._wake(EVERYONE)
        try:
            with postgres_errors_translated():
                while True:
                    async for notification in connection.notifies(timeout=PROBE_SECONDS):
                        self._wake(notification.payload)
                    async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                        await connection.execute("SELECT 1")
        except TryLaterError as error:
            log.warning("listening_lost", cause=str(error))
