"""The engine's HTTP interface, as an application's backend uses it.

Owns requests to the token service and to transcript-ingest's read API. Must not retry: who polls decides how long.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from meetai_contracts.api import Integrity, LedgerPage, StoredLine, TokenRequest, TokenResponse, TranscriptPage
from meetai_contracts.ledger import MeetingLife
from meetai_contracts.summary import StoredSummary

_TIMEOUT_SECONDS: Final = 10.0
_MAX_PAGES: Final = 1_000
T = TypeVar("T")


class EngineError(Exception):
    """A service refused, could not be reached or gave an answer that isn't of the contract."""


class EngineUnavailableError(EngineError):
    """A service could not be reached or is not ready: the same request may do later."""


class Engine:
    """The services of one deployment: `async with Engine(env) as engine`.

    Args:
        env: Holds `TOKEN_URL`, `TRANSCRIPT_INGEST_URL`, `WEBHOOK_BRIDGE_URL` and `SERVICE_KEY`, as `make up` writes them to `.local/env`.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._token_url = env["TOKEN_URL"]
        self._ingest_url = env["TRANSCRIPT_INGEST_URL"]
        self._bridge_url = env["WEBHOOK_BRIDGE_URL"]
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {env['SERVICE_KEY']}"}, timeout=_TIMEOUT_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def issue_token(self, meeting_id: str, request: TokenRequest) -> TokenResponse:
        """Let one person into a meeting.

        Raises:
            EngineError: refused or unreachable.
        """
        url = f"{self._token_url}/v1/meetings/{quote(meeting_id, safe='')}/tokens"
        body = msgspec.json.encode(request)
        return await self._ask("POST", url, TokenResponse, body)

    async def transcript(self, meeting_id: str) -> tuple[StoredLine, ...]:
        """Every stored line of a meeting, in the order in which they were spoken.

        Raises:
            EngineError: refused or unreachable, or the pages have no end.
        """
        lines: list[StoredLine] = []
        cursor = ""
        for _ in range(_MAX_PAGES):
            page = await self._ask("GET", self._read_url(meeting_id, "transcript") + cursor, TranscriptPage)
            lines.extend(page.lines)
            if page.next is None:
                return tuple(lines)
            cursor = f"?cursor={quote(page.next, safe='')}"
        raise EngineError(f"the transcript has more than {_MAX_PAGES} pages")

    async def integrity(self, meeting_id: str) -> Integrity:
        """Whether the stored transcript is all that was said.

        Raises:
            EngineError: refused or unreachable.
        """
        return await self._ask("GET", self._read_url(meeting_id, "integrity"), Integrity)

    async def summary(self, meeting_id: str) -> StoredSummary:
        """What the meeting came to.

        Raises:
            EngineError: refused or unreachable, or nobody has written one.
        """
        return await self._ask("GET", self._read_url(meeting_id, "summary"), StoredSummary)

    async def life(self, meeting_id: str) -> MeetingLife:
        """When what happened to the meeting's rooms.

        Raises:
            EngineError: refused or unreachable.
        """
        return await self._ask("GET", f"{self._ledger_url(meeting_id)}/life", MeetingLife)

    async def events(self, meeting_id: str) -> LedgerPage:
        """What became of the meeting's events, newest first.

        Raises:
            EngineError: refused or unreachable.
        """
        return await self._ask("GET", f"{self._ledger_url(meeting_id)}/events", LedgerPage)

    def _ledger_url(self, meeting_id: str) -> str:
        return f"{self._bridge_url}/v1/meetings/{quote(meeting_id, safe='')}"

    def _read_url(self, meeting_id: str, resource: str) -> str:
        return f"{self._ingest_url}/v1/meetings/{quote(meeting_id, safe='')}/{resource}"

    async def _ask(self, method: str, url: str, into: type[T], body: bytes | None = None) -> T:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        path = httpx.URL(url).path
        try:
            response = await self._http.request(method, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise EngineUnavailableError(f"{method} {path}: {type(error).__name__}") from error
        if response.is_server_error:
            raise EngineUnavailableError(f"{method} {path}: HTTP {response.status_code}")
        if not response.is_success:
            raise EngineError(f"{method} {path}: HTTP {response.status_code}")
        try:
            return msgspec.json.decode(response.content, type=into)
        except msgspec.DecodeError as error:
            raise EngineError(f"{method} {path}: not a {into.__name__}: {error}") from error
