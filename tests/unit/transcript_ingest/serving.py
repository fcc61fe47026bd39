"""The service's HTTP interface over fakes, asked within the process."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import httpx
import jwt
from prometheus_client import CollectorRegistry
from tests.unit.transcript_ingest.fakes import COMMITTED_AT, FakeStore

from meetai_contracts.summary import MeetingSummary, StoredSummary
from meetai_servicekit.auth import ServiceKeys, new_service_key
from meetai_servicekit.http import HttpService, create_http_service
from meetai_servicekit.secret import Secret
from meetai_transcript_ingest import http
from meetai_transcript_ingest.adapters.livekit_tokens import LiveKitParticipantTokens
from meetai_transcript_ingest.domain.errors import ErasedError, TryLaterError
from meetai_transcript_ingest.domain.tail import PlacedLine
from meetai_transcript_ingest.http.summary import summary_routes
from meetai_transcript_ingest.usecases import ExportTranscript, ProveTranscript, ReadTranscript
from meetai_transcript_ingest.usecases.follow import FollowTranscript

READER_KEY, _READER = new_service_key("reader", frozenset({"transcripts:read"}))
SUMMARISER_KEY, _MINUTES = new_service_key("minutes", frozenset({"transcripts:summarise"}))
OTHER_KEY, _OTHER = new_service_key("other", frozenset({"events:read"}))
API_KEY = "devkey"
API_SECRET = "a-secret-of-at-least-thirty-two-bytes"
NEXT_API_KEY = "nextkey"
NEXT_API_SECRET = "the-next-secret-of-thirty-two-bytes-"
NOW_SECONDS = 1_790_000_000


class WatchedStore(FakeStore):
    """Counts how often it is asked anything; `is_erased` makes it a store of erased meetings."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.is_erased = False

    async def lines_since(self, meeting_id: str, position: int, limit: int) -> tuple[PlacedLine, ...]:
        lines = await super().lines_since(meeting_id, position, limit)
        if self.is_erased:
            raise ErasedError("erased on request")
        return lines

    async def _answer(self) -> None:
        self.asked += 1
        await super()._answer()


class OneSummary:
    """`Summaries` of a store in which every meeting has the same."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    async def get(self, meeting_id: str) -> StoredSummary | None:
        await self._store.version(meeting_id)  # so that it counts
        return StoredSummary("Hello.", "test", (), meeting_id=meeting_id, stored_at=COMMITTED_AT)

    async def put(
        self, meeting_id: str, summary: MeetingSummary, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> NoReturn:
        raise TryLaterError("the store is away")


class FakeReadingObserver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.exports: list[tuple[str, bool]] = []
        self.clients = 0

    def following(self, clients: int) -> None:
        self.clients = clients

    def exported(self, suffix: str, *, is_whole: bool) -> None:
        self.exports.append((suffix, is_whole))


def create_app(
    store: FakeStore, *, with_participants: bool = True, observer: FakeReadingObserver | None = None
) -> HttpService:
    """The routes over a store."""
    secrets = {API_KEY: Secret(API_SECRET), NEXT_API_KEY: Secret(NEXT_API_SECRET)}
    tokens = LiveKitParticipantTokens(secrets, now_seconds=lambda: NOW_SECONDS)
    keys, participants = (
        ServiceKeys.parse_setting(f"{_READER},{_OTHER},{_MINUTES}"),
        tokens if with_participants else None,
    )
    router = http.routes(
        ReadTranscript(store),
        ProveTranscript(store),
        ExportTranscript(store, observer or FakeReadingObserver()),
        FollowTranscript(
            store, observer or FakeReadingObserver(), max_clients=5, monotonic=time.monotonic, quiet_seconds=60
        ),
        keys=keys,
        participants=participants,
    )
    routes = [router, summary_routes(OneSummary(store), keys=keys, participants=participants)]
    return create_http_service(title="test", routes=routes, readiness={}, registry=CollectorRegistry())


@asynccontextmanager
async def asking(
    store: FakeStore,
    *,
    key: str | None = READER_KEY,
    with_participants: bool = True,
    observer: FakeReadingObserver | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a fresh application over a store."""
    app = create_app(store, with_participants=with_participants, observer=observer)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar narrows ASGI's types
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


def participant_token(
    meeting_id: str = "standup",
    *,
    secret: str = API_SECRET,
    video: Mapping[str, Any] | None = None,
    without: str = "",
    headers: dict[str, Any] | None = None,
    algorithm: str | None = "HS256",
    **changed: Any,
) -> str:
    """What the token service mints for a person, or something close to it."""
    claims: dict[str, Any] = {
        "iss": API_KEY,
        "sub": "ada",
        "nbf": NOW_SECONDS - 5,
        "exp": NOW_SECONDS + 595,
        "name": "Ada",
        "video": {"room": meeting_id, "roomJoin": True, "canSubscribe": True} if video is None else video,
        **changed,
    }
    claims.pop(without, None)
    key: Any = secret.encode() if algorithm != "none" else None
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=headers)
