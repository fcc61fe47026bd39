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


@pytest.mark.parametrize(
    ("status", "text", "content_type"),
    [(200, PAGE, "text/html"), (404, "null", "application/json"), (502, '"Bad gateway"', "application/json")],
)
async def test_livekit_is_away_when_the_answer_is_not_its_own(status: int, text: str, content_type: str) -> None:
    """A proxy's page isn't protobuf, whatever its status, nor what LiveKit says of an error; the metric says so too."""
    registry = CollectorRegistry()
    async with maintenance_page(status, text, content_type) as url:
        livekit = LiveKitServer(
            url=url,
            api_key="key",
            api_secret="a-secret-of-at-least-thirty-two-characters",
            registry=registry,
            refusals=Refusals(away=AwayError, by_status={HTTPStatus.NOT_FOUND: GoneError}),
            call_timeout_seconds=5,
        )
        async with livekit.connected():
            with pytest.raises(AwayError):
                await livekit.list_dispatches("standup", "meetai")
    counted = {"call": "list_dispatch", "outcome": "unreachable"}
    assert registry.get_sample_value("meetai_livekit_call_seconds_count", counted) == 1
