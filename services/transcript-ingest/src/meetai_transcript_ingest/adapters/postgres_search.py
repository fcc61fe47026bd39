"""`SearchIndex` on PostgreSQL. Searches and indexing have a pool each, so that neither can keep the other, or anybody else, waiting.

The index holds words, never text: a hit is shown by what `lines` says of it, and isn't where that says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import QueryCanceled
from psycopg.rows import TupleRow

from meetai_contracts.identifiers import MAX_UNIX_MS, SAFE_INTEGER
from meetai_servicekit.postgres import Pool, load_queries
from meetai_transcript_ingest.adapters.postgres import postgres_errors_translated
from meetai_transcript_ingest.domain.errors import TooSlowError
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.search import (
    MARK_START,
    MARK_STOP,
    Findings,
    Found,
    IndexBacklog,
    SearchFilter,
)

SEARCH_TIMEOUT_MS: Final = 3_000
"""A statement. Two of these at once are all that searches can take of the server (app.py)."""
SEARCH_WAIT_SECONDS: Final = 9.0
"""Two statements, and getting a connection."""
INDEX_WAIT_SECONDS: Final = 12.0
"""As for a commit: the server gives up a statement after 10 s (servicekit.postgres)."""

_END: Final = Position(started_ms=MAX_UNIX_MS + 1, producer_id=UUID(int=2**128 - 1), seq=SAFE_INTEGER)
"""After every line there can be."""
_QUERIES: Final = load_queries(Path(__file__).parent / "search.sql")


class PostgresSearchIndex:
    """Searches through one pool, keeps the index through another."""

    def __init__(self, searchers: Pool, indexers: Pool, *, timeout_ms: int = SEARCH_TIMEOUT_MS) -> None:
        self._searchers = searchers
        self._indexers = indexers
        self._timeout_ms = timeout_ms

    async def search(self, query: str, wanted: SearchFilter, after: Position | None, limit: int) -> Findings:
        """See `SearchIndex.search`."""
        language = wanted.language.partition("-")[0] if wanted.language is not None else None
        async with self._transaction(self._searchers, SEARCH_WAIT_SECONDS) as connection:
            try:
                cursor = await connection.execute(
                    _QUERIES["limit_search"], {"timeout_ms": self._timeout_ms, "language": language, "query": query}
                )
                row = await cursor.fetchone()
                words = row[1] if row else None
                keys = await self._find(connection, words, wanted, after, limit + 1)
                found = await self._show(connection, query, [key[1:] for key in keys[:limit] if key[1] is not None])
            except QueryCanceled as error:
                raise TooSlowError("PostgreSQL: the search took too long") from error
        last = Position(*keys[limit - 1][1:4]) if len(keys) > limit else None
        return Findings(found=found, last=last, indexed_through=keys[0][0])

    async def index_some(self, at_most: int) -> int:
        """See `SearchIndex.index_some`."""
        async with self._transaction(self._indexers, INDEX_WAIT_SECONDS) as connection:
            await connection.execute(_QUERIES["postpone_durability"])
            return await _number(connection, "index_due_lines", at_most)

    async def sweep_some(self, at_most: int) -> int:
        """See `SearchIndex.sweep_some`."""
        async with self._transaction(self._indexers, INDEX_WAIT_SECONDS) as connection:
            return await _number(connection, "sweep_search_lines", at_most)

    async def backlog(self) -> IndexBacklog:
        """See `SearchIndex.backlog`."""
        async with self._transaction(self._indexers, INDEX_WAIT_SECONDS) as connection:
            row = await (await connection.execute(_QUERIES["index_backlog"])).fetchone()
            return IndexBacklog(*row) if row else IndexBacklog(0, 0.0)

    async def _find(
        self,
        connection: AsyncConnection[TupleRow],
        words: str | None,
        wanted: SearchFilter,
        after: Position | None,
        count: int,
    ) -> list[TupleRow]:
        """Keys, or a row without one. Never prepared: a plan that suits one query is ruin for the next."""
        before = after or _END
        cursor = await connection.execute(
            _QUERIES["find_lines"],
            {
                "query": words or "",
                "meeting_id": wanted.meeting_id,
                "language": wanted.language,
                "speaker": wanted.speaker,
                "from_ms": wanted.from_ms,
                "to_ms": wanted.to_ms,
                "started_ms": before.started_ms,
                "producer_id": before.producer_id,
                "seq": before.seq,
                "count": count,
            },
            prepare=False,
        )
        return await cursor.fetchall()

    async def _show(
        self, connection: AsyncConnection[TupleRow], query: str, keys: Sequence[tuple[Any, ...]]
    ) -> tuple[Found, ...]:
        if not keys:
            return ()
        days = [day for *_, day in keys]
        cursor = await connection.execute(
            _QUERIES["show_lines"],
            {
                "producer_ids": [producer_id for _, producer_id, _, _ in keys],
                "seqs": [seq for _, _, seq, _ in keys],
                "day_of_each": days,
                "days": sorted(set(days)),
                "query": query,
                "start": MARK_START,
                "stop": MARK_STOP,
            },
            prepare=False,
        )
        return tuple([_found(row) for row in await cursor.fetchall()])

    @asynccontextmanager
    async def _transaction(self, pool: Pool, seconds: float) -> AsyncGenerator[AsyncConnection[TupleRow]]:
        with postgres_errors_translated():
            async with asyncio.timeout(seconds), pool.connection() as connection:
                yield connection


async def _number(connection: AsyncConnection[TupleRow], query: str, at_most: int) -> int:
    row = await (await connection.execute(_QUERIES[query], {"at_most": at_most})).fetchone()
    return int(row[0]) if row else 0


def _found(row: TupleRow) -> Found:
    started_ms, producer_id, seq, meeting_id, identity, name, kind, text, ended_ms, language, source, marked = row
    return Found(
        place=Position(started_ms, producer_id, seq),
        meeting_id=meeting_id,
        identity=identity,
        name=name,
        kind=kind,
        text=text,
        marked=marked,
        ended_ms=ended_ms,
        language=language,
        source=source or "microphone",
    )
