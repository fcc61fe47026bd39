"""A whole transcript as a file, page by page: never more than one page of it in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import structlog

from meetai_contracts.api import StoredLine
from meetai_transcript_ingest.domain.exports import ExportFormat
from meetai_transcript_ingest.domain.paging import place_of
from meetai_transcript_ingest.domain.tail import Version
from meetai_transcript_ingest.ports import Archive, ReadingObserver

EXPORT_PAGE_LINES: Final = 500
"""About 100 KB of usual lines (200 bytes), 8 MB of the longest that there can be."""

log = structlog.get_logger()


class ExportTranscript:
    """Lines in reading order, each once: a line that is stored meanwhile is in it if it sorts after what has been written."""

    def __init__(self, archive: Archive, observer: ReadingObserver) -> None:
        self._archive = archive
        self._observer = observer

    async def version(self, meeting_id: str) -> Version:
        """What is another whenever the file may have changed; ask for it before the file.

        Raises:
            TryLaterError: the store is away.
        """
        return await self._archive.version(meeting_id)

    async def __call__(self, meeting_id: str, into: ExportFormat) -> AsyncGenerator[bytes]:
        """The file's pieces. The first page is read before this returns, so that a store that is away is known at once.

        Raises:
            TryLaterError: the store is away; also out of the generator, whose file is then not whole.
        """
        first = await self._archive.lines_after(meeting_id, None, EXPORT_PAGE_LINES)
        return self._pieces(meeting_id, into, first)

    async def _pieces(self, meeting_id: str, into: ExportFormat, page: tuple[StoredLine, ...]) -> AsyncGenerator[bytes]:
        renderer = into.renderer(meeting_id)
        is_whole = False
        try:
            yield renderer.head() + renderer.lines(page)
            while len(page) == EXPORT_PAGE_LINES:
                page = await self._archive.lines_after(meeting_id, place_of(page[-1]), EXPORT_PAGE_LINES)
                yield renderer.lines(page)
            yield renderer.tail()
            is_whole = True
        finally:
            self._observer.exported(into.suffix, is_whole=is_whole)
