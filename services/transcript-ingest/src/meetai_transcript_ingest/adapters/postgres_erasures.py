"""`Erasures` on PostgreSQL: a tombstone in one small transaction, then what it covers, a bounded batch at a time.

Owns the order of locks: producers, then lines and letters, as every commit; the meeting's row alone for the tombstone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.adapters.postgres_outbox import note_endings
from meetai_transcript_ingest.domain.erasing import Tombstone
from meetai_transcript_ingest.domain.tail import wake_for

ERASE_TIMEOUT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""
BATCH_LINES: Final = 2_000
"""Rows a transaction. Deleting that many takes 40 ms on two busy cores, and no other meeting waits for it."""
BATCH_LETTERS: Final = 200
BATCH_UNREAD: Final = 100
"""Letters a transaction that are searched for a meeting's id: 100 MiB at most."""

_QUERIES: Final = load_queries(Path(__file__).parent / "erasures.sql")


async def note_erased(
    connection: AsyncConnection[TupleRow], erased: Mapping[tuple[str, UUID], Collection[int]]
) -> None:
    """Put down which lines of these producers, each with its meeting, are erased. Their rows should be locked."""
    if not erased:
        return
    await connection.execute(
        _QUERIES["note_erased"],
        {
            "meeting_ids": [meeting_id for meeting_id, _ in erased],
            "producer_ids": [producer_id for _, producer_id in erased],
            "ranges": ["{" + ",".join(f"[{seq},{seq}]" for seq in sorted(seqs)) + "}" for seqs in erased.values()],
        },
    )


class PostgresErasures:
    """Shares the writers' pool, one connection at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def request(self, meeting_id: str, *, actor: str) -> None:
        """See `Erasures.request`."""
        named = {"meeting_id": meeting_id}
        async with self._transaction() as connection:
            row = await (await connection.execute(_QUERIES["bury_meeting"], named)).fetchone()
            tombstone = Tombstone(row[0] if row else 0)
            known = await (await connection.execute(_QUERIES["known_producers"], named)).fetchall()
            early = [producer_id for producer_id, _, _ in known if not tombstone.covers(producer_id)]
            if early:
                await connection.execute(_QUERIES["name_early_producers"], {**named, "producer_ids": early})
            await connection.execute(_QUERIES["request_erasure"], {**named, "actor": actor})
            summaries = (await connection.execute(_QUERIES["erase_summary"], named)).rowcount
            await connection.execute(_QUERIES["wake_followers"], {"wake": wake_for([meeting_id])})
            counts = {"producers": len(known), "summaries": summaries}
            await self._audit(connection, actor, "erasure_requested", meeting_id, counts)

    async def erase_some(self, meeting_id: str) -> bool:
        """See `Erasures.erase_some`."""
        named = {"meeting_id": meeting_id}
        async with self._transaction() as connection:
            tombstone = await _tombstone(connection, "tombstone", meeting_id)
            if tombstone is None:
                return False
            known = await (await connection.execute(_QUERIES["known_producers"], named)).fetchall()
            covered = [(producer_id, day) for producer_id, day, _ in known if tombstone.covers(producer_id)]
            if await self._erase_lines(connection, meeting_id, covered):
                return True
            if await self._erase_letters(connection, meeting_id, tombstone):
                return True
            if await self._erase_unread_letters(connection, meeting_id):
                return True
            if await _tombstone(connection, "locked_tombstone", meeting_id) != tombstone:
                return True  # asked for once more meanwhile: it covers more than was looked for here
            await self._finish(connection, meeting_id, {room_sid for _, _, room_sid in known})
            return False

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """See `Erasures.unfinished`."""
        async with self._transaction() as connection:
            cursor = await connection.execute(_QUERIES["unfinished_erasures"], {"batch": limit})
            return tuple([meeting_id for (meeting_id,) in await cursor.fetchall()])

    async def _erase_lines(
        self, connection: AsyncConnection[TupleRow], meeting_id: str, covered: Sequence[tuple[UUID, object]]
    ) -> int:
        """Lines of as many producers as make up a batch; how many these are."""
        gone = 0
        for producer_id, day in covered:
            await connection.execute(_QUERIES["lock_producers"], {"producer_ids": [producer_id]})
            cursor = await connection.execute(
                _QUERIES["erase_lines"],
                {"producer_started": day, "producer_id": producer_id, "batch": BATCH_LINES - gone},
            )
            seqs = [seq for (seq,) in await cursor.fetchall()]
            if seqs:
                await note_erased(connection, {(meeting_id, producer_id): seqs})
            gone += len(seqs)
            if gone >= BATCH_LINES:
                break
        if gone:
            await connection.execute(
                _QUERIES["count_erased"], {"meeting_id": meeting_id, "lines": gone, "dead_letters": 0}
            )
        return gone

    async def _erase_letters(self, connection: AsyncConnection[TupleRow], meeting_id: str, tombstone: Tombstone) -> int:
        """Letters that the tombstone covers, as many as make up a batch; how many were found."""
        after = 0
        doomed: list[TupleRow] = []
        while not doomed:
            cursor = await connection.execute(
                _QUERIES["letters_of_meeting"], {"meeting_id": meeting_id, "after": after, "batch": BATCH_LETTERS}
            )
            found = await cursor.fetchall()
            if not found:
                break
            after = found[-1][0]
            doomed = [row for row in found if tombstone.covers(row[1])]
        erased: dict[tuple[str, UUID], set[int]] = {}
        for _, producer_id, seq in doomed:
            if producer_id is not None and seq:
                erased.setdefault((meeting_id, producer_id), set()).add(seq)
        if doomed:
            await connection.execute(_QUERIES["lock_producers"], {"producer_ids": [known for _, known in erased]})
            await self._drop_letters(connection, meeting_id, [row[0] for row in doomed])
            await note_erased(connection, erased)
        return len(doomed)

    async def _erase_unread_letters(self, connection: AsyncConnection[TupleRow], meeting_id: str) -> bool:
        """Of the next letters that don't tell whose they are those that may be this meeting's; whether there were any to look at."""
        named = {"meeting_id": meeting_id}
        place = await (await connection.execute(_QUERIES["erasure_place"], named)).fetchone()
        if place is None:
            return False
        requested_at, after = place
        needle = msgspec.msgpack.encode(meeting_id)
        cursor = await connection.execute(
            _QUERIES["unread_letters"], {"after": after, "needle": needle, "batch": BATCH_UNREAD}
        )
        found = await cursor.fetchall()
        if not found:
            return False
        doomed = [letter_id for letter_id, holds_the_id in found if holds_the_id]
        if doomed:
            await self._drop_letters(connection, meeting_id, doomed)
        moved = {**named, "requested_at": requested_at, "unread_after": found[-1][0]}
        await connection.execute(_QUERIES["move_erasure_place"], moved)
        return True

    async def _drop_letters(
        self, connection: AsyncConnection[TupleRow], meeting_id: str, letter_ids: Sequence[int]
    ) -> None:
        """Counts those alone that nobody else has removed meanwhile."""
        gone = (await connection.execute(_QUERIES["erase_letters"], {"ids": list(letter_ids)})).rowcount
        await connection.execute(_QUERIES["count_erased"], {"meeting_id": meeting_id, "lines": 0, "dead_letters": gone})

    async def _finish(self, connection: AsyncConnection[TupleRow], meeting_id: str, rooms: set[str]) -> None:
        named = {"meeting_id": meeting_id}
        done = await (await connection.execute(_QUERIES["finish_erasure"], named)).fetchone()
        if done is not None:
            actor, lines, dead_letters = done
            counts = {"lines": lines, "deadLetters": dead_letters}
            await connection.execute(_QUERIES["bump_position"], named)
            await self._audit(connection, actor, "erasure_finished", meeting_id, counts)
            await note_endings(connection, rooms)

    async def _audit(
        self, connection: AsyncConnection[TupleRow], actor: str, action: str, meeting_id: str, counts: Mapping[str, int]
    ) -> None:
        row = {"actor": actor, "action": action, "meeting_id": meeting_id, "counts": Jsonb(dict(counts))}
        await connection.execute(_QUERIES["write_audit"], row)

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncConnection[TupleRow]]:
        with postgres_errors_translated():
            async with asyncio.timeout(ERASE_TIMEOUT_SECONDS), self._pool.connection() as connection:
                yield connection


async def _tombstone(connection: AsyncConnection[TupleRow], query: str, meeting_id: str) -> Tombstone | None:
    row = await (await connection.execute(_QUERIES[query], {"meeting_id": meeting_id})).fetchone()
    return None if row is None else Tombstone(row[0], frozenset(row[1]))
