"""What every service's HTTP has: errors that name the field, paths, keys."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from structlog.testing import capture_logs
from tests.unit.servicekit.http_service import (
    SECRET,
    TEXT,
    create,
    problem_of,
)


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(create(), raise_server_exceptions=False) as client:
        yield client


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
    ("query", "field", "message"),
    [
        ("state=Qx7", "state", "must be one of sent, dead"),
        ("from=Qx7", "from", "Invalid RFC3339 encoded datetime"),
    ],
)
def test_query_parameter_is_named_as_the_caller_knows_it(
    client: TestClient[Litestar], query: str, field: str, message: str
) -> None:
    """Not as the handler calls it; and what would be accepted is said."""
    problem = problem_of(client.get(f"/renamed?{query}"), 400)
    assert problem["errors"] == [{"field": field, "message": message}]


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
