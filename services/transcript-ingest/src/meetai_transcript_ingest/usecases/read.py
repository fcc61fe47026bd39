"""Read what is stored: a page of it, and the proof that it is all."""

from __future__ import annotations

from meetai_contracts.api import Integrity, TranscriptPage
from meetai_transcript_ingest.domain.paging import decode_cursor, encode_cursor, place_of
from meetai_transcript_ingest.domain.proof import prove
from meetai_transcript_ingest.ports import Archive


class ReadTranscript:
    """A meeting's lines, page by page, in the order of `domain.paging`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def __call__(self, meeting_id: str, *, cursor: str | None, limit: int) -> TranscriptPage:
        """One page. A meeting that nobody has heard of has no lines.

        Raises:
            BadCursorError: `cursor` isn't one.
            TryLaterError: the store is away.
        """
        after = None if cursor is None else decode_cursor(cursor)
        lines = await self._archive.lines_after(meeting_id, after, limit + 1)
        page = lines[:limit]
        if len(lines) == len(page):
            return TranscriptPage(lines=page, next=None)
        return TranscriptPage(lines=page, next=encode_cursor(place_of(page[-1])))


class ProveTranscript:
    """Whether a meeting's transcript is all that was said."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def __call__(self, meeting_id: str) -> Integrity:
        """The verdict as of now.

        Raises:
            TryLaterError: the store is away.
        """
        return prove(meeting_id, await self._archive.producers(meeting_id))
