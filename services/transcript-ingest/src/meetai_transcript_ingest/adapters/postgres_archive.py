"""`Archive` on PostgreSQL: what is stored, as readers see it. Reads only; must not hold up the writers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_contracts.api import StoredLine
from meetai_contracts.identifiers import line_id
from meetai_contracts.transcript import CaptionSpeaker
from meetai_servicekit.postgres import Pool
from meetai_transcript_ingest.adapters.postgres import QUERIES, postgres_errors_translated
from meetai_transcript_ingest.domain.erasing import Tombstone
from meetai_transcript_ingest.domain.errors import ErasedError
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.proof import MAX_RANGES, ProducerRecord
from meetai_transcript_ingest.domain.tail import PlacedLine, Version

READ_TIMEOUT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""

_START: Final = {"started_ms": -1, "producer_id": UUID(int=0), "seq": 0}
"""Before every line there can be."""


class PostgresArchive:
    """Reads through a pool of its own.

    Args:
        pool: With `one_snapshot`: which days to read and what is there are two statements, and a commit of a new day between them
            would show its lines without those before.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def lines_after(
        self, meeting_id: str, after: Position | None, limit: int, *, committed_since: datetime | None = None
    ) -> tuple[StoredLine, ...]:
        """See `Archive.lines_after`."""
        place = (
            _START
            if after is None
            else {"started_ms": after.started_ms, "producer_id": after.producer_id, "seq": after.seq}
        )
        with postgres_errors_translated():
            async with asyncio.timeout(READ_TIMEOUT_SECONDS), self._pool.connection() as connection:
                days = await _days(connection, meeting_id)
                rows: list[TupleRow] = []
                if days is not None:
                    cursor = await connection.execute(
                        QUERIES["lines_after"], {**days, "committed_since": committed_since, "count": limit, **place}
                    )
                    rows = await cursor.fetchall()
                if not rows:
                    await refuse_erased(connection, meeting_id)
                return tuple([_line(row) for row in rows])

    async def version(self, meeting_id: str) -> Version:
        """See `Archive.version`."""
        with postgres_errors_translated():
            async with asyncio.timeout(READ_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["version"], {"meeting_id": meeting_id})
                row = await cursor.fetchone()
                return Version(0, 0) if row is None else Version(row[0], row[1])

    async def lines_since(self, meeting_id: str, position: int, limit: int) -> tuple[PlacedLine, ...]:
        """See `Archive.lines_since`."""
        with postgres_errors_translated():
            async with asyncio.timeout(READ_TIMEOUT_SECONDS), self._pool.connection() as connection:
                days = await _days(connection, meeting_id)
                rows: list[TupleRow] = []
                if days is not None:
                    cursor = await connection.execute(
                        QUERIES["lines_since"], {**days, "position": position, "count": limit}
                    )
                    rows = await cursor.fetchall()
                if not rows:
                    await refuse_erased(connection, meeting_id)
                return tuple([PlacedLine(row[0], _line(row[1:])) for row in rows])

    async def over_for_seconds(self, meeting_id: str) -> float | None:
        """See `Archive.over_for_seconds`."""
        with postgres_errors_translated():
            async with asyncio.timeout(READ_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["over_for_seconds"], {"meeting_id": meeting_id})
                row = await cursor.fetchone()
                return None if row is None else row[0]

    async def producers(self, meeting_id: str) -> tuple[ProducerRecord, ...]:
        """See `Archive.producers`."""
        with postgres_errors_translated():
            async with asyncio.timeout(READ_TIMEOUT_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(
                    QUERIES["producer_records"], {"meeting_id": meeting_id, "max_ranges": MAX_RANGES + 1}
                )
                return tuple([_record(row) for row in await cursor.fetchall()])


async def _days(connection: AsyncConnection[TupleRow], meeting_id: str) -> dict[str, object] | None:
    """The meeting, and the days whose partitions can hold its lines; None where nobody has heard of it."""
    cursor = await connection.execute(QUERIES["producer_days"], {"meeting_id": meeting_id})
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    return {"meeting_id": meeting_id, "first_day": row[0], "last_day": row[1]}


async def refuse_erased(connection: AsyncConnection[TupleRow], meeting_id: str) -> None:
    """Asked only where there is nothing to read, so that reading costs no more for it."""
    row = await (await connection.execute(QUERIES["tombstone"], {"meeting_id": meeting_id})).fetchone()
    if row is None:
        return
    erased_ms, producers, is_being_erased, known = row
    tombstone = Tombstone(erased_ms, frozenset(producers))
    if is_being_erased or all(tombstone.covers(producer_id) for producer_id in known):
        raise ErasedError("erased on request")


def _line(row: TupleRow) -> StoredLine:
    (
        producer_id,
        seq,
        identity,
        name,
        kind,
        text,
        started_ms,
        ended_ms,
        committed_at,
        language,
        confidence,
        interrupted,
        source,
    ) = row
    return StoredLine(
        id=line_id(producer_id, seq),
        producer_id=producer_id,
        seq=seq,
        speaker=CaptionSpeaker(identity=identity, name=name, kind=kind),
        text=text,
        started_ms=started_ms,
        ended_ms=ended_ms,
        committed_at=committed_at,
        language=language,
        confidence=confidence,
        interrupted=interrupted,
        source=source or "microphone",
    )


def _record(row: TupleRow) -> ProducerRecord:
    producer_id, room_sid, declared, stored, dead, present, firsts, lasts, named_lost, closed_for_seconds, erased = row
    return ProducerRecord(
        producer_id=producer_id,
        room_sid=room_sid,
        declared=declared,
        stored=stored,
        dead=dead,
        present=present,
        present_ranges=tuple(zip(firsts, lasts, strict=True)),
        named_lost=named_lost,
        closed_for_seconds=closed_for_seconds,
        erased=erased,
    )
