"""What every service's HTTP has: errors that name the field, paths, health, metrics, one line a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, FromQuery, JSONBody, RawBody
from litestar.testing import TestClient
from msgspec import Struct
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from meetai_contracts.api import TokenRequest
from meetai_contracts.codec import decode_json
from meetai_servicekit import health
from meetai_servicekit.auth import ServiceKeys, new_service_key, requires_scope
from meetai_servicekit.health import NotReadyError
from meetai_servicekit.http import create_http_service
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import UnavailableError

SECRET, ENTRY = new_service_key("crm", frozenset({"things:read"}))
KEYS = ServiceKeys.parse_setting(ENTRY)
TEXT = "what Ann said"


class Page(Struct):
    lines: list[str]


@post("/typed")
async def typed(data: JSONBody[TokenRequest]) -> str:
    return data.user_id


@post("/decoded")
async def decoded(body: RawBody) -> str:
    return decode_json(body, TokenRequest, max_bytes=1024).user_id


@get("/meetings/{meeting_id:str}/things")
async def things(meeting_id: FromPath[str], limit: FromQuery[int] = 10) -> dict[str, Any]:
    return {"id": meeting_id_from_path(meeting_id), "limit": limit}


@get("/guarded", guards=[requires_scope(KEYS, "things:read")])
async def guarded() -> str:
    return "in"


@get("/unreachable", guards=[requires_scope(KEYS, "things:write")])
async def unreachable() -> str:
    return "in"


@get("/bug")
async def bug() -> None:
    raise KeyError(TEXT)


@get("/away")
async def away() -> None:
    raise UnavailableError("Redis", retry_after_seconds=7)


async def passes() -> None:
    """A dependency that answers."""


async def says_why() -> None:
    raise NotReadyError("schema is older than this service")


async def breaks() -> None:
    raise OSError(TEXT)


async def hangs() -> None:
    await asyncio.Event().wait()


def create(**checks: Any) -> Litestar:
    routes = [typed, decoded, things, guarded, unreachable, bug, away]
    return create_http_service(
        title="Tested", routes=routes, readiness=checks or {"passes": passes}, registry=CollectorRegistry()
    )


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(create(), raise_server_exceptions=False) as client:
        yield client


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    return problem


BAD_BODIES = [
    ({"userName": "Ann"}, "userId", "is required"),
    ({"userId": "u", "userName": 7}, "userName", "Expected `str`, got `int`"),
    ({"userId": "u", "userName": ""}, "userName", "userName must be 1 to 256 UTF-8 bytes, not 0"),
    ({"userId": "u", "userName": "A", "role": "Qx7"}, "role", "must be one of host, participant, viewer"),
    ({"userId": "u", "userName": "A", "video": {}}, "video", "is not a field that can be chosen here"),
    ({"userId": "u", "userName": "A", "agent": {"name": "C"}}, "agent.instructions", "is required"),
    (
        {"userId": "u", "userName": "A", "agent": {"name": "C", "instructions": "", "model": "Qx7"}},
        "agent.model",
        "is not a field that can be chosen here",
    ),
    (
        {"userId": "u", "userName": "A", "agent": {"name": "\n", "instructions": ""}},
        "agent.name",
        "name must not hold the control or format character U+000A",
    ),
    ([1], "", "Expected `object`, got `array`"),
    (None, "", "Expected `object`, got `null`"),
]


@pytest.mark.parametrize("path", ["/typed", "/decoded"])
@pytest.mark.parametrize(("body", "field", "message"), BAD_BODIES)
def test_field_is_named_when_a_body_is_wrong(
    client: TestClient[Litestar], path: str, body: object, field: str, message: str
) -> None:
    """The same answer, whether the framework decodes the body or our codec does; never the value."""
    response = client.post(path, content=json.dumps(body))
    assert problem_of(response, 400)["errors"] == [{"field": field, "message": message}]


@pytest.mark.parametrize("path", ["/typed", "/decoded"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30_000, b'{"userId":"\\ud800"}', b'{"a":"\xff"}', b"nul"])
def test_body_is_refused_when_it_is_not_json(client: TestClient[Litestar], path: str, body: bytes) -> None:
    """Not JSON, not UTF-8, too deep, a lone surrogate: bad input, and not our failure."""
    problem_of(client.post(path, content=body), 400)


def test_body_is_refused_when_it_is_too_large(client: TestClient[Litestar]) -> None:
    """32 KiB, unless a service says otherwise."""
    problem_of(client.post("/typed", content=b" " * (32 * 1024 + 1)), 413)


def test_query_parameter_is_named_when_it_is_wrong(client: TestClient[Litestar]) -> None:
    """A number that isn't one."""
    problem = problem_of(client.get("/meetings/m/things?limit=Qx7"), 400)
    assert [error["field"] for error in problem["errors"]] == ["limit"]
    assert "Qx7" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("segment", "meeting_id"),
    [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%F0%9F%98%80", "😀"),
        ("%252F", "%2F"),
        ("a%3Fb", "a?b"),
        ("+", "+"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_id_is_whole_when_it_is_in_the_path(client: TestClient[Litestar], segment: str, meeting_id: str) -> None:
    """Decoded once, and never taken for two segments."""
    assert client.get(f"/meetings/{segment}/things?limit=3").json() == {"id": meeting_id, "limit": 3}


@pytest.mark.parametrize("segment", ["%00", "%FF", "e%CC%81", "a" * 257, "%E2%80%8B"])
def test_id_is_refused_when_it_is_not_acceptable(client: TestClient[Litestar], segment: str) -> None:
    """By the contract's rules."""
    problem = problem_of(client.get(f"/meetings/{segment}/things"), 400)
    assert [error["field"] for error in problem["errors"]] == ["meetingId"]


def test_problem_is_told_when_there_is_no_such_route(client: TestClient[Litestar]) -> None:
    """404 and 405 are problems too."""
    problem_of(client.get("/nowhere"), 404)
    problem_of(client.get("/typed"), 405)


def test_caller_gets_in_when_the_key_has_the_scope(client: TestClient[Litestar]) -> None:
    """The scheme's case doesn't matter (RFC 9110, section 11.1)."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert client.get("/guarded", headers={"Authorization": f"{scheme} {SECRET}"}).text == "in"


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", "Bearer " + "x" * 5000],
    ids=["nothing", "no key", "another scheme", "no scheme", "a longer key", "5,000 characters"],
)
def test_caller_is_refused_when_the_key_is_unknown(client: TestClient[Litestar], value: str) -> None:
    """401, saying how to authenticate and nothing else."""
    response = client.get("/guarded", headers={"Authorization": value})
    assert problem_of(response, 401)["detail"] == "A valid bearer credential is required."
    assert response.headers["www-authenticate"] == 'Bearer realm="meetai"'


def test_caller_is_refused_when_the_key_lacks_the_scope(client: TestClient[Litestar]) -> None:
    """403, naming the scope."""
    response = client.get("/unreachable", headers={"Authorization": f"Bearer {SECRET}"})
    assert "things:write" in problem_of(response, 403)["detail"]


def test_nothing_is_told_when_the_service_has_a_bug(client: TestClient[Litestar]) -> None:
    """500 without a word of the exception; the log has its type and place."""
    with capture_logs() as logs:
        response = client.get("/bug")
    assert TEXT not in response.text
    problem_of(response, 500)
    assert [line["event"] for line in logs] == ["request_failed", "request_served"]


def test_retry_is_advised_when_a_dependency_is_away(client: TestClient[Litestar]) -> None:
    """503 with Retry-After, naming what is away."""
    response = client.get("/away")
    assert "Redis" in problem_of(response, 503)["detail"]
    assert response.headers["retry-after"] == "7"


def test_readiness_says_which_and_why_when_dependencies_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are asked at once; one that hangs delays no more than its time; no driver's message is shown."""
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.05)
    with TestClient(create(passes=passes, says_why=says_why, breaks=breaks, hangs=hangs)) as client:
        response = client.get("/readyz")
        assert client.get("/livez").json() == {"status": "ok"}
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "checks": {
            "passes": "ok",
            "says_why": "schema is older than this service",
            "breaks": "OSError",
            "hangs": "no answer within 0.05 s",
        },
    }


def test_readiness_is_given_when_all_answer(client: TestClient[Litestar]) -> None:
    """200, not to be cached."""
    response = client.get("/readyz")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.json() == {"status": "ok", "checks": {"passes": "ok"}}


def test_requests_are_counted_by_route_when_paths_differ(client: TestClient[Litestar]) -> None:
    """By template, so that neither ids nor strangers' paths become labels."""
    for path in ("/meetings/a/things", "/meetings/b%2Fc/things", "/nowhere", "/else/where"):
        client.get(path)
    metrics = client.get("/metrics").text
    count = 'meetai_http_request_seconds_count{method="GET",route="%s",status="%s"} %s'
    assert count % ("/meetings/{meeting_id}/things", "200", "2.0") in metrics
    assert count % ("unmatched", "404", "2.0") in metrics


def test_one_line_is_logged_when_a_request_was_served(client: TestClient[Litestar]) -> None:
    """By route and caller; none for what the platform asks every few seconds."""
    with capture_logs() as logs:
        client.get("/guarded", headers={"Authorization": f"Bearer {SECRET}"})
        for quiet in ("/livez", "/readyz", "/metrics"):
            client.get(quiet)
    (line,) = logs
    assert line.pop("ms") >= 0
    expected = {"event": "request_served", "log_level": "info", "method": "GET", "route": "/guarded", "status": 200}
    assert line == {**expected, "caller": "crm"}


def test_document_is_served_when_it_is_asked_for(client: TestClient[Litestar]) -> None:
    """OpenAPI, with how to authenticate."""
    document = client.get("/schema").json()
    assert document["info"]["title"] == "Tested"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "/metrics" not in document["paths"]


def test_metrics_are_written_as_openmetrics_for_who_accepts_it(client: TestClient[Litestar]) -> None:
    """Else in Prometheus' own format; neither has a series for when each was made."""
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    open_metrics = client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    )
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith("# EOF\n")
    assert "_created" not in plain.text + open_metrics.text


def test_what_readiness_found_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """One state of each check is 1: that it answers and can't do its work is another thing than no answer."""
    mending: list[str] = []

    async def schema() -> None:
        if not mending:
            raise NotReadyError("schema is older than this service")

    async def broken() -> None:
        raise OSError

    with TestClient(create(schema=schema, broken=broken)) as client:
        client.get("/readyz")
        found = client.get("/metrics").text
        mending.append("migrated")
        client.get("/readyz")
        mended = client.get("/metrics").text
    state = 'meetai_readiness{check="%s",state="%s"} %s'
    for check, kind, value in (("schema", "unfit", "1.0"), ("schema", "ok", "0.0"), ("broken", "away", "1.0")):
        assert state % (check, kind, value) in found
    assert state % ("schema", "ok", "1.0") in mended
    assert state % ("schema", "unfit", "0.0") in mended
