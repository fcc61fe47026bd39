"""How fast the search index is filled."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.transcript_ingest.fakes import FakeObserver

from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import Patience
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.search import Findings, IndexBacklog, SearchFilter
from meetai_transcript_ingest.usecases.search import INDEX_INTERVAL_SECONDS, INDEX_REST, keep_indexed


async def test_indexing_makes_room_when_there_is_a_backlog() -> None:
    """Three times as long as a batch took; a failure is tried again with half of it; when nothing is left, a look a second."""
    seconds = 0.0
    batches: list[int | Exception] = [500, TryLaterError("too slow"), TryLaterError("too slow"), 125, 20, 0]
    sizes: list[int] = []
    waits: list[float] = []
    indexed: list[int] = []

    class SlowIndex:
        async def index_some(self, at_most: int) -> int:
            nonlocal seconds
            seconds += 0.25
            sizes.append(at_most)
            batch = batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            return batch

        async def search(self, query: str, wanted: SearchFilter, after: Position | None, limit: int) -> Findings:
            raise NotImplementedError

        async def sweep_some(self, at_most: int) -> int:
            return 0

        async def backlog(self) -> IndexBacklog:
            return IndexBacklog(0, 0.0)

    class Counting:
        def indexed(self, lines: int) -> None:
            indexed.append(lines)

        def swept(self, lines: int) -> None: ...

        def backlog_seen(self, backlog: IndexBacklog) -> None: ...

    async def sleep(wait_seconds: float) -> None:
        waits.append(wait_seconds)
        if not batches:
            raise asyncio.CancelledError

    patience = Patience(Backoff(0.1, 1.0), sleep=sleep, random=lambda: 0.0, observer=FakeObserver())
    with pytest.raises(asyncio.CancelledError):
        await keep_indexed(SlowIndex(), patience=patience, observer=Counting(), sleep=sleep, monotonic=lambda: seconds)
    assert indexed == [500, 125, 20]
    assert sizes == [500, 500, 250, 125, 250, 500]
    assert waits == [INDEX_REST * 0.25, 0.05, 0.1, INDEX_REST * 0.75, INDEX_REST * 0.25, INDEX_INTERVAL_SECONDS]
