"""What a call to LiveKit's server API comes to when it isn't LiveKit that answers."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry
from tests.servers.maintenance_page import PAGE, maintenance_page

from meetai_servicekit.livekit import LiveKitServer, Refusals


class AwayError(Exception):
    """As a service calls it."""


class GoneError(AwayError):
    """As a service calls it."""


async def outcome(url: str) -> str:
    """What a call comes to, by its metric; it has to raise `AwayError` itself."""
    registry = CollectorRegistry()
    livekit = LiveKitServer(
        url=url,
        api_key="key",
        api_secret="a-secret-of-at-least-thirty-two-characters",
        registry=registry,
        refusals=Refusals(
            away=AwayError, by_status={HTTPStatus.NOT_FOUND: GoneError, HTTPStatus.SERVICE_UNAVAILABLE: GoneError}
        ),
        call_timeout_seconds=5,
    )
    async with livekit.connected():
        with pytest.raises(AwayError) as caught:
            await livekit.list_dispatches("standup", "meetai")
    assert caught.type is AwayError
    (counted,) = (each for metric in registry.collect() for each in metric.samples if each.name.endswith("_count"))
    return counted.labels["outcome"]


@pytest.mark.parametrize(
    ("status", "text", "content_type"),
    [
        (200, PAGE, "text/html"),
        (200, "", "text/html"),
        (404, "null", "application/json"),
        (502, '"Bad gateway"', "application/json"),
    ],
    ids=["a page", "an empty page", "JSON", "a JSON text"],
)
async def test_livekit_is_away_when_the_answer_is_not_its_own(status: int, text: str, content_type: str) -> None:
    """A proxy's page isn't protobuf, whatever its status, nor what LiveKit says of an error; the metric says so too."""
    async with maintenance_page(status, text, content_type) as url:
        assert await outcome(url) == "unreachable"


@pytest.mark.parametrize(
    ("status", "text", "content_type"),
    [
        (404, "<h1>default backend - 404</h1>", "text/html"),
        (404, '{"message": "no Route matched"}', "application/json"),
        (404, '{"code": 5, "message": "Not Found", "details": []}', "application/json"),
        (404, '{"code": "bad_route", "msg": "no handler for path"}', "application/json"),
        (503, '{"code": 503, "message": "no healthy upstream"}', "application/json"),
    ],
    ids=["a page", "JSON", "a number", "another path", "no upstream"],
)
async def test_a_proxy_that_knows_no_such_address_says_nothing_of_a_room(
    status: int, text: str, content_type: str
) -> None:
    """Else every room would be gone, and every meeting over."""
    async with maintenance_page(status, text, content_type) as url:
        assert await outcome(url) == str(status)
