"""By which words lines are found, and who counts how that is kept."""

from __future__ import annotations

from typing import Protocol

from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.search import Findings, IndexBacklog, SearchFilter


class SearchIndex(Protocol):
    """Which words are in which line."""

    async def search(self, query: str, wanted: SearchFilter, after: Position | None, limit: int) -> Findings:
        """Up to `limit` lines that match, the newest first, from the newest or after a place.

        Raises:
            TooSlowError: this takes longer than a search may.
        """

    async def index_some(self, at_most: int) -> int:
        """Take in about so many lines that are stored; how many that were, 0 when nothing is left."""

    async def sweep_some(self, at_most: int) -> int:
        """Drop so many entries of lines that the retention has dropped; how many that were."""

    async def backlog(self) -> IndexBacklog:
        """What is still to be taken in."""


class SearchObserver(Protocol):
    """Who counts how the index is kept."""

    def indexed(self, lines: int) -> None:
        """So many lines can be found."""

    def swept(self, lines: int) -> None:
        """So many entries are gone."""

    def backlog_seen(self, backlog: IndexBacklog) -> None:
        """What is still to be indexed."""
