"""COPY in as few round trips as PostgreSQL takes: the rows, the end of the COPY and, where that is all, the COMMIT in one.

Owns the exchange with the server. Must not know what is copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, LiteralString

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.copy import AsyncLibpqWriter
from psycopg.errors import InternalError, error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow
from psycopg.waiting import Wait

_COMMIT: Final = "COMMIT"


async def copy(
    connection: AsyncConnection[TupleRow], statement: LiteralString, blocks: Iterable[bytes], *, commits: bool = False
) -> None:
    """Send the rows; with `commits` the transaction is over as well when this returns.

    Raises:
        psycopg.Error: nothing of the transaction is stored, unless it is an `OperationalError` while it `commits`: then nobody knows.
    """
    if commits:
        statement += f"; {_COMMIT}"  # the server goes on to it by itself, once the rows are in
    async with connection.cursor() as cursor, cursor.copy(statement, writer=_Writer(cursor)) as copying:
        for block in blocks:
            await copying.write(block)


class _Writer(AsyncLibpqWriter):
    """Psycopg's own takes two turns of the loop more for the end of a COPY, and nothing behind it."""

    async def finish(self, exc: BaseException | None = None) -> None:
        if exc is not None:
            await super().finish(exc)
        else:
            await self.connection.wait(_end(self._pgconn))


def _end(pgconn: PGconn) -> PQGen[None]:
    while pgconn.put_copy_end() == 0:
        yield Wait.W
    for result in (yield from execute(pgconn)):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
        if result.command_status == b"ROLLBACK":
            raise InternalError("COMMIT rolled back")
