"""`DeadLetters` on PostgreSQL: listed, opened, and written again through the commit path of `postgres_store`.

A letter's row is touched last in its transaction, after the rows that every commit locks: two that redrive the same letter
then wait for one another at its producer, and the second finds it gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_contracts.dead_letters import DeadLetterSummary
from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.adapters.postgres_outbox import note_endings
from meetai_transcript_ingest.adapters.postgres_store import COMMIT_TIMEOUT_SECONDS, Connection, PostgresLineStore
from meetai_transcript_ingest.domain.errors import LetterGoneError
from meetai_transcript_ingest.domain.letters import KeptLetter, LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter, DeadReason, Parcel
from meetai_transcript_ingest.ports import Rewritten

CONFLICT_DETAIL: Final = "another line is stored under this id"
_GONE: Final = "no such dead letter"

_QUERIES: Final = load_queries(Path(__file__).parent / "dead_letters.sql")


class PostgresDeadLetters:
    """Shares the writers' pool, one connection at a time."""

    def __init__(self, pool: Pool, store: PostgresLineStore) -> None:
        self._pool = pool
        self._store = store

    async def page(self, wanted: LetterFilter, *, before: int | None, limit: int) -> tuple[DeadLetterSummary, ...]:
        """See `DeadLetters.page`."""
        stream, entry_id = wanted.entry or (None, None)
        async with self._transaction() as connection:
            cursor = await connection.execute(
                _QUERIES["list_letters"],
                {
                    "reason": wanted.reason,
                    "meeting_id": wanted.meeting_id,
                    "died_from": wanted.died_from,
                    "died_before": wanted.died_before,
                    "stream": stream,
                    "entry_id": entry_id,
                    "before": before,
                    "batch": limit,
                },
            )
            return tuple([_summary(row) for row in await cursor.fetchall()])

    async def get(self, letter_id: int) -> KeptLetter:
        """See `DeadLetters.get`."""
        async with self._transaction() as connection:
            row = await (await connection.execute(_QUERIES["get_letter"], {"id": letter_id})).fetchone()
        if row is None:
            raise LetterGoneError(_GONE)
        return KeptLetter(_summary(row), row[12])

    async def kept(self) -> int:
        """See `DeadLetters.kept`."""
        async with self._transaction() as connection:
            row = await (await connection.execute(_QUERIES["count_letters"])).fetchone()
            return int(row[0]) if row else 0

    async def rewrite(self, letter: KeptLetter, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Rewritten:
        """See `DeadLetters.rewrite`."""
        async with self._transaction() as connection:
            written = await self._store.write(connection, parcels, letters)
            outcome = written.outcome
            itself = next((new for new in letters if new.seq == letter.seq), None)
            if itself is not None:
                await self._note_attempt(connection, letter, itself.reason, itself.detail)
            elif letter.seq is not None and outcome.conflicts:
                await self._note_attempt(connection, letter, "conflict", CONFLICT_DETAIL)
            else:
                await self._remove(connection, letter.summary.id)
                await note_endings(connection, written.rooms)
                return Rewritten(outcome, removed=True)
            return Rewritten(outcome, removed=False)

    async def note_attempt(self, letter: KeptLetter, reason: DeadReason, detail: str) -> None:
        """See `DeadLetters.note_attempt`."""
        async with self._transaction() as connection:
            await self._note_attempt(connection, letter, reason, detail)

    async def discard(self, letter_id: int, *, actor: str) -> None:
        """See `DeadLetters.discard`."""
        async with self._transaction() as connection:
            await connection.execute(_QUERIES["lock_meeting_of_letter"], {"id": letter_id})
            meeting_id, producer_id, seq, reason = await self._remove(connection, letter_id)
            about = str(producer_id) if producer_id else None
            counts = {"deadLetters": 1, "id": letter_id, "reason": reason, "producerId": about, "seq": seq}
            await connection.execute(
                _QUERIES["write_audit"],
                {
                    "actor": actor,
                    "action": "dead_letter_discarded",
                    "meeting_id": meeting_id,
                    "counts": Jsonb(counts),
                },
            )
            cursor = await connection.execute(
                _QUERIES["room_of_producer"], {"producer_id": producer_id, "meeting_id": meeting_id}
            )
            await note_endings(connection, [room_sid for (room_sid,) in await cursor.fetchall()])

    async def _remove(self, connection: Connection, letter_id: int) -> TupleRow:
        row = await (await connection.execute(_QUERIES["remove_letter"], {"id": letter_id})).fetchone()
        if row is None:
            raise LetterGoneError(_GONE)
        return row

    async def _note_attempt(self, connection: Connection, letter: KeptLetter, reason: DeadReason, detail: str) -> None:
        row = {"id": letter.summary.id, "reason": reason, "detail": detail}
        if (await connection.execute(_QUERIES["attempted_letter"], row)).rowcount == 0:
            raise LetterGoneError(_GONE)

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Connection]:
        with postgres_errors_translated():
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS), self._pool.connection() as connection:
                yield connection


def _summary(row: TupleRow) -> DeadLetterSummary:
    return DeadLetterSummary(
        id=row[0],
        reason=row[1],
        detail=row[2],
        stream=row[3],
        entry_id=row[4],
        meeting_id=row[5],
        producer_id=row[6],
        seq=row[7],
        died_at=row[8],
        attempts=row[9],
        attempted_at=row[10],
        payload_bytes=row[11],
    )
