"""A handler that is called directly answers as it does through the framework, and reads no more than it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from litestar import Litestar, post
from litestar.params import FromPath, JSONBody, RawBody
from litestar.testing import TestClient
from litestar.types import Scope
from msgspec import Struct
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from meetai_contracts.api import TokenRequest
from meetai_servicekit import direct
from meetai_servicekit.direct import called_directly
from meetai_servicekit.http import create_http_service, told
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import UnavailableError

MAX_BYTES = 1024
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Made(Struct, rename="camel"):
    meeting_id: str
    user_id: str
    made_at: datetime


async def make(meeting_id: FromPath[str], data: JSONBody[TokenRequest], scope: Scope) -> Made:
    if data.user_id == "away":
        raise UnavailableError("LiveKit")
    if data.user_id == "told":
        told(scope)
    return Made(meeting_id=meeting_id_from_path(meeting_id), user_id=data.user_id, made_at=NOON)


async def take(body: RawBody) -> None:
    if body != b"raw":
        raise KeyError(body)


def service(**declared: Any) -> Litestar:
    return create_http_service(
        title="Tested",
        routes=[
            post("/made/{meeting_id:str}/here", response_headers={"Cache-Control": "no-store"}, **declared)(make),
            post("/taken", status_code=200, **declared)(take),
        ],
        readiness={},
        registry=CollectorRegistry(),
        max_body_bytes=MAX_BYTES,
    )


@pytest.fixture
def both() -> Iterator[tuple[TestClient[Litestar], TestClient[Litestar]]]:
    ours = service(middleware=[called_directly])
    with TestClient(ours, raise_server_exceptions=False) as direct, TestClient(service()) as framework:
        yield direct, framework


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/made/m/here", b'{"userId":"u","userName":"Ann"}'),
        ("/made/a%2Fb%20%C3%A9/here", b'{"userId":"u","userName":"Ann"}'),
        ("/made/%FF/here", b'{"userId":"u","userName":"Ann"}'),
        ("/made/m/here", b'{"userId":"away","userName":"Ann"}'),
        ("/made/m/here", b'{"userId":7,"userName":"Ann"}'),
        ("/made/m/here", b'{"userId":"u","userName":"Ann","rol":"host"}'),
        ("/made/m/here", b""),
        ("/made/m/here", b" " * (MAX_BYTES + 1)),
        ("/nowhere", b""),
    ],
)
def test_answer_is_the_frameworks_when_the_handler_is_called_directly(
    both: tuple[TestClient[Litestar], TestClient[Litestar]], path: str, body: bytes
) -> None:
    """The same status, headers and bytes, for what is good and for what isn't."""
    ours, theirs = (client.post(path, content=body) for client in both)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert dict(ours.headers) == dict(theirs.headers)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 1000, b"nul", b'{"userId":"\\ud800","userName":"A"}', b"[1]"])
def test_body_is_refused_when_it_is_not_what_the_route_takes(
    both: tuple[TestClient[Litestar], TestClient[Litestar]], body: bytes
) -> None:
    """400 either way."""
    for client in both:
        answer = client.post("/made/m/here", content=body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_raw_body_is_handed_on_when_the_handler_takes_one(
    both: tuple[TestClient[Litestar], TestClient[Litestar]],
) -> None:
    """Nothing comes back; a bug is 500 without a word of it."""
    answer = both[0].post("/taken", content=b"raw")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (failed := both[0].post("/taken", content=b"what Ann said")).status_code == 500
    assert "Ann" not in failed.text


def test_document_is_the_same_when_handlers_are_called_directly() -> None:
    """What a route takes and gives is read off the same function."""
    documents = [create.openapi_schema.to_schema() for create in (service(middleware=[called_directly]), service())]
    assert documents[0] == documents[1]


def test_one_line_is_logged_when_the_handler_has_told(both: tuple[TestClient[Litestar], TestClient[Litestar]]) -> None:
    """Its own; without one, the canonical line."""
    with capture_logs() as logs:
        both[0].post("/made/m/here", content=b'{"userId":"told","userName":"Ann"}')
        assert logs == []
        both[0].post("/made/m/here", content=b'{"userId":"u","userName":"Ann"}')
    assert [line["event"] for line in logs] == ["request_served"]


async def exchanged(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """A request to `/taken` whose messages come one after the other, and nothing after them; returns what was sent."""
    left, sent = list(messages), []
    scope = {"type": "http", "method": "POST", "path": "/taken", "raw_path": b"/taken", "query_string": b""}

    async def receive() -> Any:
        return left.pop(0) if left else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = service(middleware=[called_directly])
    await app({**scope, "headers": [], "client": None, "root_path": "", "extensions": {}}, receive, send)
    return sent


async def test_body_is_whole_when_it_comes_in_parts() -> None:
    """As ASGI allows it to."""
    part = {"type": "http.request", "more_body": True}
    sent = await exchanged({**part, "body": b"r"}, part, {"type": "http.request", "body": b"aw"})
    assert sent[0]["status"] == 200


async def test_no_more_is_read_when_the_body_is_too_large() -> None:
    """The part that goes beyond is the last that is taken."""
    part = {"type": "http.request", "body": b"x" * MAX_BYTES, "more_body": True}
    sent = await exchanged(part, part, {"type": "http.request", "body": b"never read"})
    assert sent[0]["status"] == 413


async def test_wait_ends_when_the_body_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, so that nobody holds a request open for ever."""
    monkeypatch.setattr(direct, "BODY_SECONDS", 0.05)
    sent = await exchanged({"type": "http.request", "body": b"r", "more_body": True})
    assert sent[0]["status"] == 408


async def test_nothing_is_answered_when_the_client_has_gone() -> None:
    """It counts as its own doing, 499, and not as a failure of the service."""
    with capture_logs() as logs:
        assert await exchanged({"type": "http.disconnect"}) == []
    assert [line["status"] for line in logs] == [499]
