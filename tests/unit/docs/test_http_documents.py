"""What the services' OpenAPI documents say of how a request ends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from deploy.docs.site.http_reference import documents

PROBLEM = {"application/problem+json"}
KEYED = {"400", "401", "403", "503"}
LETTER = "/v1/dead-letters/{letter_id}"
MEETING = "/v1/meetings/{meeting_id}"


@cache
def _services() -> dict[str, Any]:
    return dict(documents())


def _operations() -> Iterator[tuple[str, str, str, Any]]:
    for service, document in _services().items():
        for path, item in document["paths"].items():
            if path.startswith(("/v1/", "/webhooks/", "/api/")):
                yield from ((service, method, path, operation) for method, operation in item.items())


def test_every_refusal_is_a_problem_and_no_body_is_null() -> None:
    for service, method, path, operation in _operations():
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            assert status < "400" or content.keys() == PROBLEM, (service, method, path, status)
            assert all(each["schema"].get("type") != "null" for each in content.values()), (service, path, status)


def test_every_route_that_takes_a_key_says_so() -> None:
    keyed = [each for each in _operations() if each[3].get("security")]
    assert {service for service, *_ in keyed} >= {"transcript-ingest", "webhook-bridge"}
    for service, method, path, operation in keyed:
        assert operation["responses"].keys() >= KEYED, (service, method, path)


@pytest.mark.parametrize(
    ("service", "method", "path", "statuses"),
    [
        ("transcript-ingest", "put", f"{MEETING}/summary", {"201", "204", "409", "410", "412", "413"}),
        ("transcript-ingest", "get", f"{MEETING}/summary", {"200", "304", "404", "410"}),
        ("transcript-ingest", "delete", MEETING, {"202", "204"}),
        ("transcript-ingest", "get", f"{MEETING}/transcript", {"200", "304", "410"}),
        ("transcript-ingest", "get", f"{MEETING}/transcript.vtt", {"200", "304", "410"}),
        ("transcript-ingest", "get", f"{MEETING}/stream", {"200", "410"}),
        ("transcript-ingest", "get", f"{MEETING}/integrity", {"200"}),
        ("transcript-ingest", "get", "/v1/dead-letters", {"200"}),
        ("transcript-ingest", "get", LETTER, {"200", "404"}),
        ("transcript-ingest", "delete", LETTER, {"204", "404"}),
        ("transcript-ingest", "post", f"{LETTER}/redrive", {"200", "404"}),
        ("transcript-ingest", "post", "/v1/dead-letters/redrive", {"200", "413"}),
        ("webhook-bridge", "get", "/v1/events", {"200"}),
        ("webhook-bridge", "post", "/v1/events/{event_id}/replay", {"202", "404"}),
        ("webhook-bridge", "post", "/v1/events/replay", {"202", "413"}),
        ("webhook-bridge", "delete", MEETING, {"204"}),
    ],
)
def test_what_a_route_answers_is_all_named(service: str, method: str, path: str, statuses: set[str]) -> None:
    assert _services()[service]["paths"][path][method]["responses"].keys() == statuses | KEYED


def test_livekit_is_told_what_its_webhooks_meet() -> None:
    responses = _services()["webhook-bridge"]["paths"]["/webhooks/livekit"]["post"]["responses"]
    assert responses.keys() == {"200", "400", "401", "413", "503"}
