"""Read what is stored: a page of it, and the proof that it is all."""

from __future__ import annotations

from datetime import datetime

from meetai_contracts.api import Integrity, TranscriptPage
from meetai_transcript_ingest.domain.paging import decode_cursor, encode_cursor, place_of, surely_seen_before
from meetai_transcript_ingest.domain.proof import prove
from meetai_transcript_ingest.domain.tail import Version
from meetai_transcript_ingest.ports import Archive


class ReadTranscript:
    """A meeting's lines, page by page, in the order of `domain.paging`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def version(self, meeting_id: str) -> Version:
        """What is another whenever what a page shows may have changed; ask for it before the page.

        Raises:
            TryLaterError: the store is away.
        """
        return await self._archive.version(meeting_id)

    async def __call__(
        self, meeting_id: str, *, cursor: str | None, limit: int, updated_after: datetime | None = None
    ) -> TranscriptPage:
        """One page. A meeting that nobody has heard of has no lines.

        Args:
            meeting_id: Which.
            cursor: Where to go on.
            limit: The most lines.
            updated_after: Leave out what could be seen well before that instant.

        Raises:
            BadCursorError: `cursor` isn't one.
            TryLaterError: the store is away.
        """
        after = None if cursor is None else decode_cursor(cursor)
        since = None if updated_after is None else surely_seen_before(updated_after)
        lines = await self._archive.lines_after(meeting_id, after, limit + 1, committed_since=since)
        page = lines[:limit]
        if len(lines) == len(page):
            return TranscriptPage(lines=page, next=None)
        return TranscriptPage(lines=page, next=encode_cursor(place_of(page[-1])))


class ProveTranscript:
    """Whether a meeting's transcript is all that was said; `quiet_seconds` as for `CompleteRooms`."""

    def __init__(self, archive: Archive, *, quiet_seconds: float = 0.0) -> None:
        self._archive = archive
        self._quiet_seconds = quiet_seconds

    async def __call__(self, meeting_id: str) -> Integrity:
        """The verdict as of now.

        Raises:
            TryLaterError: the store is away.
        """
        return prove(meeting_id, await self._archive.producers(meeting_id), quiet_seconds=self._quiet_seconds)
