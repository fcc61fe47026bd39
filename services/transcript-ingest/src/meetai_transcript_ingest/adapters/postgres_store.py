"""`LineStore` on PostgreSQL: a set of parcels in one transaction, by the fastest way that is safe.

The first try is COPY straight into the table. Only where an id is taken, which a redelivery makes likely and nothing else
does, the set is written again through a staging table with ON CONFLICT DO NOTHING, and what differs from what is stored is
dead-lettered (FACTS, PostgreSQL: 90 % of a raw COPY, where ON CONFLICT alone reaches 34-55 %).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow

from meetai_servicekit.postgres import Pool
from meetai_transcript_ingest.adapters.copy_text import copy_rows
from meetai_transcript_ingest.adapters.postgres import QUERIES, postgres_errors_translated
from meetai_transcript_ingest.domain.errors import RefusedError
from meetai_transcript_ingest.domain.intake import DeadLetter, Parcel, dead_line, in_write_order
from meetai_transcript_ingest.domain.producers import merge, producer_day
from meetai_transcript_ingest.domain.tail import lines_by_meeting, positions, wake_for
from meetai_transcript_ingest.ports import Committed

COMMIT_TIMEOUT_SECONDS: Final = 12.0
"""For a whole transaction: the server gives up a statement after 10 s (servicekit.postgres), and may not be there to."""

Connection = AsyncConnection[TupleRow]


class PostgresLineStore:
    """Writes through a pool of its own, so that readers can't keep it waiting."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        """See `LineStore.commit`."""
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                return await self.write(connection, parcels, letters)

    async def write(
        self, connection: Connection, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]
    ) -> Committed:
        """Everything of a commit but the COMMIT. Must be the first in its transaction, which it may start again."""
        ordered = in_write_order(parcels)
        rows = copy_rows(ordered)
        taken = await self._declare(connection, ordered)
        await self._bury(connection, letters)
        try:
            await _copy(
                connection, "copy_lines", [f"{position}\t{row}" for position, row in zip(taken, rows, strict=True)]
            )
        except UniqueViolation:
            await connection.rollback()
            return await self._write_carefully(connection, ordered, rows, letters)
        return Committed(lines=len(rows))

    async def prepare_partitions(self, first_day: date, days: int) -> int:
        """See `LineStore.prepare_partitions`."""
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["prepare_partitions"], {"first_day": first_day, "days": days})
                row = await cursor.fetchone()
                return int(row[0]) if row else 0

    async def _write_carefully(
        self,
        connection: Connection,
        ordered: Sequence[Parcel],
        rows: Sequence[str],
        letters: Sequence[DeadLetter],
    ) -> Committed:
        """Write a set some of whose ids are taken."""
        taken = await self._declare(connection, ordered)
        await connection.execute(QUERIES["make_staging"])
        staged = [f"{index}\t{position}\t{row}" for index, (position, row) in enumerate(zip(taken, rows, strict=True))]
        await _copy(connection, "copy_staged", staged)
        stored = (await connection.execute(QUERIES["insert_staged"])).rowcount
        differing = await (await connection.execute(QUERIES["conflicting_positions"])).fetchall()
        conflicts: list[DeadLetter] = []
        if differing:
            written = [(parcel, line) for parcel in ordered for line in parcel.lines]
            conflicts = [
                dead_line(*written[position], "conflict", "another line is stored under this id")
                for (position,) in differing
            ]
        await self._bury(connection, [*letters, *conflicts])
        duplicates = len(rows) - stored - len(conflicts)
        return Committed(lines=stored, duplicates=duplicates, conflicts=len(conflicts))

    async def _declare(self, connection: Connection, parcels: Sequence[Parcel]) -> list[int]:
        """Say what is known of the producers, and take a position in its meeting for every line.

        Holds the rows of both until the end of the transaction: positions are seen in their order.
        """
        if not parcels:
            return []
        declarations = merge(parcel.declaration for parcel in parcels)
        counts = lines_by_meeting(parcels)
        cursor = await connection.execute(
            QUERIES["declare_producers"],
            {
                "producer_ids": [known.producer_id for known in declarations],
                "days": [producer_day(known.producer_id) for known in declarations],
                "meeting_ids": [known.meeting_id for known in declarations],
                "room_sids": [known.room_sid for known in declarations],
                "declared": [known.declared for known in declarations],
                "opened": [known.opened for known in declarations],
                "closed": [known.closed for known in declarations],
                "gaps": [_multirange(known.gaps) for known in declarations],
                "meetings": list(counts),
                "counts": list(counts.values()),
                "wake": wake_for(counts),
            },
        )
        taken = await cursor.fetchall()
        if not taken:
            raise RefusedError("a producer belongs to another meeting")
        return positions({row[0]: row[1] - counts[row[0]] for row in taken}, parcels)

    async def _bury(self, connection: Connection, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        async with connection.cursor() as cursor:
            await cursor.executemany(
                QUERIES["insert_dead_letter"],
                [
                    {
                        "stream": letter.stream,
                        "entry_id": letter.entry_id,
                        "seq": letter.seq or 0,
                        "reason": letter.reason,
                        "detail": letter.detail,
                        "meeting_id": letter.meeting_id,
                        "producer_id": letter.producer_id,
                        "payload": letter.payload,
                    }
                    for letter in letters
                ],
            )


async def _copy(connection: Connection, query: str, rows: Sequence[str]) -> None:
    if not rows:
        return
    async with connection.cursor() as cursor, cursor.copy(QUERIES[query]) as copy:
        await copy.write("".join(rows).encode())


def _multirange(ranges: Sequence[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{first},{last}]" for first, last in ranges) + "}"
