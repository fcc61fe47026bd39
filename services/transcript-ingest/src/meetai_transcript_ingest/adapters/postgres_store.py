"""`LineStore` on PostgreSQL: a set of parcels in one transaction, by the fastest way that is safe.

The first try is COPY straight into the table. Only where an id is taken, which a redelivery makes likely and nothing else
does, the set is written again through a staging table with ON CONFLICT DO NOTHING, and what differs from what is stored is
dead-lettered (FACTS, PostgreSQL: 90 % of a raw COPY, where ON CONFLICT alone reaches 34-55 %).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.errors import QueryCanceled, UniqueViolation
from psycopg.rows import TupleRow

from meetai_servicekit.postgres import Pool
from meetai_transcript_ingest.adapters.copy_rows import copy_blocks
from meetai_transcript_ingest.adapters.copying import copy
from meetai_transcript_ingest.adapters.postgres import QUERIES, postgres_errors_translated
from meetai_transcript_ingest.adapters.postgres_erasures import note_erased
from meetai_transcript_ingest.adapters.postgres_outbox import note_endings
from meetai_transcript_ingest.domain.erasing import Tombstone, spare
from meetai_transcript_ingest.domain.errors import RefusedError, TooSlowError, TryLaterError
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, dead_line, in_write_order
from meetai_transcript_ingest.domain.producers import merge, producer_day
from meetai_transcript_ingest.domain.tail import first_positions, lines_by_meeting, wake_for
from meetai_transcript_ingest.ports import Committed

COMMIT_TIMEOUT_SECONDS: Final = 12.0
"""For a whole transaction: the server gives up a statement after 10 s (servicekit.postgres), and may not be there to."""

Connection = AsyncConnection[TupleRow]


class Written(Struct, frozen=True):
    """What a write came to, and the rooms that it may have completed."""

    outcome: Committed
    rooms: frozenset[str]


class _Begun(Struct, frozen=True):
    """What is left to write: each parcel has the position of its first line; how many lines were left out as erased."""

    parcels: Sequence[Parcel]
    letters: Sequence[DeadLetter]
    first_positions: Sequence[int]
    lines: int
    rooms: frozenset[str]
    erased: int


class PostgresLineStore:
    """Writes through a pool of its own, so that readers can't keep it waiting."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        """See `LineStore.commit`."""
        connected = False
        try:
            with postgres_errors_translated():
                async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                    connected = True
                    written = await self.write(connection, parcels, letters, commits=True)
                    await note_endings(connection, written.rooms)
                    return written.outcome
        except TryLaterError as error:
            if connected and isinstance(error.__cause__, TimeoutError | QueryCanceled):
                raise TooSlowError(str(error)) from error
            raise

    async def write(
        self, connection: Connection, parcels: Sequence[Parcel], letters: Sequence[DeadLetter], *, commits: bool = False
    ) -> Written:
        """Everything of a commit but its end. Must be the first in its transaction, which it may start again.

        With `commits` it may end the transaction as well, where no room is left to be noted.
        """
        ordered = in_write_order(parcels)
        begun = await self._begin(connection, ordered, letters)
        await self._bury(connection, begun.letters)
        try:
            if begun.lines:
                blocks = copy_blocks(begun.parcels, begun.first_positions)
                await copy(connection, QUERIES["copy_lines"], blocks, commits=commits and not begun.rooms)
        except UniqueViolation:
            await connection.rollback()
            return await self._write_carefully(connection, await self._begin(connection, ordered, letters))
        return Written(Committed(lines=begun.lines, erased=begun.erased), begun.rooms)

    async def prepare_partitions(self, first_day: date, days: int) -> int:
        """See `LineStore.prepare_partitions`."""
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["prepare_partitions"], {"first_day": first_day, "days": days})
                row = await cursor.fetchone()
                return int(row[0]) if row else 0

    async def _write_carefully(self, connection: Connection, begun: _Begun) -> Written:
        """Write a set some of whose ids are taken."""
        await connection.execute(QUERIES["make_staging"])
        await copy(connection, QUERIES["copy_staged"], copy_blocks(begun.parcels, begun.first_positions))
        stored = (await connection.execute(QUERIES["insert_staged"])).rowcount
        differing = set(await (await connection.execute(QUERIES["conflicting_lines"])).fetchall())
        conflicts: list[DeadLetter] = []
        if differing:
            conflicts = [
                dead_line(parcel, line, "conflict", "another line is stored under this id")
                for parcel, first_position in zip(begun.parcels, begun.first_positions, strict=True)
                for position, line in enumerate(parcel.lines, first_position)
                if (parcel.declaration.meeting_id, position) in differing
            ]
        await self._bury(connection, [*begun.letters, *conflicts])
        duplicates = begun.lines - stored - len(conflicts)
        outcome = Committed(lines=stored, duplicates=duplicates, conflicts=len(conflicts), erased=begun.erased)
        return Written(outcome, begun.rooms)

    async def _begin(self, connection: Connection, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> _Begun:
        """Say what is known of the producers, take a position in its meeting for every line, and leave out what is erased.

        Holds the rows of producers and meetings until the end of the transaction: positions are seen in their order, and an
        erasure comes either before this or after it.
        """
        counts = lines_by_meeting(parcels, [letter.meeting_id for letter in letters if letter.meeting_id is not None])
        if not counts:
            return _Begun((), letters, (), 0, frozenset(), 0)
        declarations = merge(parcel.declaration for parcel in parcels)
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
        if len(taken) != len(counts):
            raise RefusedError("a producer belongs to another meeting")
        before = {meeting_id: position - counts[meeting_id] for meeting_id, position, *_ in taken}
        tombstones = {row[0]: Tombstone(row[2], frozenset(row[3])) for row in taken if row[2] is not None}
        closed: dict[UUID, str] = dict(zip(taken[0][4] or (), taken[0][5] or (), strict=True)) if taken else {}
        rooms = _ending(parcels, closed)
        erased = 0
        if tombstones:
            spared = spare(parcels, letters, tombstones)
            parcels, letters, erased = spared.parcels, spared.letters, spared.lines
            await note_erased(connection, spared.erased)
        lines = sum([len(parcel.lines) for parcel in parcels])
        return _Begun(parcels, letters, first_positions(before, parcels), lines, rooms, erased)

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


def _ending(parcels: Sequence[Parcel], closed: Mapping[UUID, str]) -> frozenset[str]:
    """Rooms of closed producers of which this brings lines or the end itself; nothing else can complete one."""
    if not closed:
        return frozenset()
    known = [parcel.declaration for parcel in parcels if parcel.lines or parcel.declaration.closed]
    return frozenset(closed[about.producer_id] for about in known if about.producer_id in closed)


def _multirange(ranges: Sequence[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{first},{last}]" for first, last in ranges) + "}"
