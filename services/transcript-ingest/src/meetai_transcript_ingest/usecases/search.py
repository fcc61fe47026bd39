"""Search what was said, and keep the index that it is found by.

Owns the pace of the indexing: whoever stores lines comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from meetai_contracts.api import SearchHit, SearchPage
from meetai_contracts.identifiers import line_id
from meetai_contracts.transcript import CaptionSpeaker
from meetai_servicekit.background import Work
from meetai_servicekit.patience import Patience
from meetai_transcript_ingest.domain.errors import TryLaterError
from meetai_transcript_ingest.domain.paging import decode_cursor, encode_cursor
from meetai_transcript_ingest.domain.search import Found, SearchFilter, parse_query, snippet
from meetai_transcript_ingest.ports import SearchIndex, SearchObserver

INDEX_BATCH_LINES: Final = 500
INDEX_INTERVAL_SECONDS: Final = 1.0
"""How late lines are found when there is nothing else to do."""
INDEX_REST: Final = 3.0
"""After a batch, so many times as long as it took: a backlog takes a quarter of one connection's time, not more."""
SWEEP_INTERVAL_SECONDS: Final = 300.0
SWEEP_BATCH_LINES: Final = 2_000
BACKLOG_INTERVAL_SECONDS: Final = 15.0

Sleep = Callable[[float], Awaitable[None]]

log = structlog.get_logger()


class SearchTranscripts:
    """Lines that match a query, page by page."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index

    async def __call__(self, query: str, wanted: SearchFilter, *, cursor: str | None, limit: int) -> SearchPage:
        """One page, the newest lines first. A page may hold fewer hits than there is room for, and still have a next one.

        Raises:
            BadQueryError: `query` isn't one.
            BadCursorError: `cursor` isn't one.
            TooSlowError: this takes longer than a search may.
            TryLaterError: the store is away.
        """
        websearch = parse_query(query)
        after = None if cursor is None else decode_cursor(cursor)
        findings = await self._index.search(websearch, wanted, after, limit)
        return SearchPage(
            hits=tuple([_hit(found) for found in findings.found]),
            next=None if findings.last is None else encode_cursor(findings.last),
            indexed_through=findings.indexed_through,
        )


def search_works(
    index: SearchIndex, *, patience: Patience, observer: SearchObserver, sleep: Sleep, monotonic: Callable[[], float]
) -> dict[str, Work]:
    """All that keeps the index, by name."""
    return {
        "search index": partial(
            keep_indexed, index, patience=patience, observer=observer, sleep=sleep, monotonic=monotonic
        ),
        "search sweep": partial(keep_swept, index, patience=patience, observer=observer, sleep=sleep),
        "search backlog": partial(watch_backlog, index, patience=patience, observer=observer, sleep=sleep),
    }


async def keep_indexed(
    index: SearchIndex, *, patience: Patience, observer: SearchObserver, sleep: Sleep, monotonic: Callable[[], float]
) -> None:
    """Take in what is stored, until cancelled. A batch that fails is tried with half as many lines: they may be very long."""
    at_most = INDEX_BATCH_LINES

    async def index_once() -> int:
        nonlocal at_most
        try:
            lines = await index.index_some(at_most)
        except TryLaterError:
            at_most = max(1, at_most // 2)
            raise
        at_most = min(INDEX_BATCH_LINES, 2 * at_most)
        return lines

    while True:
        started = monotonic()
        lines = await patience.insist("index", index_once)
        if lines:
            observer.indexed(lines)
            await sleep(INDEX_REST * (monotonic() - started))
        else:
            await sleep(INDEX_INTERVAL_SECONDS)


async def keep_swept(index: SearchIndex, *, patience: Patience, observer: SearchObserver, sleep: Sleep) -> None:
    """Drop what the retention has left behind, until cancelled."""
    while True:
        swept = await patience.insist("sweep index", lambda: index.sweep_some(SWEEP_BATCH_LINES))
        if swept:
            observer.swept(swept)
            log.info("search_index_swept", lines=swept)
        await sleep(INDEX_INTERVAL_SECONDS if swept else SWEEP_INTERVAL_SECONDS)


async def watch_backlog(index: SearchIndex, *, patience: Patience, observer: SearchObserver, sleep: Sleep) -> None:
    """Tell the observer how far the index is behind."""
    while True:
        observer.backlog_seen(await patience.insist("index status", index.backlog))
        await sleep(BACKLOG_INTERVAL_SECONDS)


def _hit(found: Found) -> SearchHit:
    return SearchHit(
        meeting_id=found.meeting_id,
        id=line_id(found.place.producer_id, found.place.seq),
        speaker=CaptionSpeaker(identity=found.identity, name=found.name, kind=found.kind),
        snippet=snippet(found.text, found.marked),
        started_ms=found.place.started_ms,
        ended_ms=found.ended_ms,
        language=found.language,
        source=found.source,
    )
