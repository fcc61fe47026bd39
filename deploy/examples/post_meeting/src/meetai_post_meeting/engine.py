"""transcript-ingest, as a backend uses it: the transcript page by page, what is known of it, and the summary's place.

Owns its status codes. Must not decide what is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from meetai_contracts.api import Integrity, StoredLine, TranscriptPage
from meetai_contracts.summary import MeetingSummary
from meetai_post_meeting.errors import EngineAwayError, EngineRefusedError, MeetingGoneError

PAGE_LINES: Final = 1_000
MAX_LINES: Final = 100_000
"""Some twenty hours of lively talk; more in one meeting is a mistake, and would take too much memory here."""
TIMEOUT_SECONDS: Final = 30.0

T = TypeVar("T")


class Engine:
    """One transcript-ingest; `http` has its address and a service key."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def lines(self, meeting_id: str) -> list[StoredLine]:
        """All that is stored, in the order in which it was spoken.

        Raises:
            EngineAwayError, EngineRefusedError: as they say; the latter also for more than `MAX_LINES`.
            MeetingGoneError: the meeting was erased.
        """
        lines: list[StoredLine] = []
        query = {"limit": str(PAGE_LINES)}
        while True:
            page = _decoded(await self._ask("GET", meeting_id, "transcript", query=query), TranscriptPage)
            lines += page.lines
            if page.next is None:
                return lines
            if len(lines) >= MAX_LINES:
                raise EngineRefusedError(f"the meeting has more than {MAX_LINES} lines")
            query = {"limit": str(PAGE_LINES), "cursor": page.next}

    async def integrity(self, meeting_id: str) -> Integrity:
        """Who transcribed the meeting, and whether that is all; errors as for `lines`."""
        return _decoded(await self._ask("GET", meeting_id, "integrity"), Integrity)

    async def store(self, meeting_id: str, summary: MeetingSummary) -> None:
        """Put the summary in its place; the same again changes nothing.

        Raises:
            EngineAwayError, EngineRefusedError: as they say.
            MeetingGoneError: what it was made of is erased, expired, or not all that there is by now.
        """
        await self._ask("PUT", meeting_id, "summary", body=msgspec.json.encode(summary))

    async def _ask(
        self,
        method: str,
        meeting_id: str,
        resource: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> httpx.Response:
        path = f"/v1/meetings/{quote(meeting_id, safe='')}/{resource}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = await self._http.request(method, path, params=query, content=body, headers=headers)
        except httpx.RequestError as error:
            raise EngineAwayError(f"{method} {resource}: {type(error).__name__}") from error
        if response.status_code in {409, 410}:
            raise MeetingGoneError(f"{method} {resource}: HTTP {response.status_code}")
        if response.status_code == 429 or response.is_server_error:
            raise EngineAwayError(f"{method} {resource}: HTTP {response.status_code}")
        if not response.is_success:
            raise EngineRefusedError(f"{method} {resource}: HTTP {response.status_code}")
        return response


def _decoded(response: httpx.Response, into: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=into)
    except msgspec.DecodeError as error:
        raise EngineRefusedError(f"not a {into.__name__}") from error
