"""A live meeting over HTTP: who is there, removing somebody, ending it; by the service as a process on a real server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from livekit import rtc
from tests.integration.token.token_process import KEYS, TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer
from tests.servers.helm_test import run_helm_test
from tests.waiting import eventually

IDENTITY = "u/1 é"


@pytest.fixture(scope="module")
def service(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProcess]:
    with token_process(tmp_path_factory.mktemp("token"), livekit.url) as running:
        yield running


async def test_meeting_is_seen_emptied_and_ended_when_the_caller_may(
    service: TokenProcess, livekit: EmbeddedServer, meeting_id: str
) -> None:
    """From the token to the end, with one person in it."""
    path = f"/v1/meetings/{quote(meeting_id, safe='')}"
    assert service.call("GET", path, "watcher").status_code == 404
    asked = dt.datetime.now(dt.UTC)
    body = {"userId": IDENTITY, "userName": "Ann", "meetingName": "Standup"}
    token = service.ask(quote(meeting_id, safe=""), body).json()["participantToken"]
    room = rtc.Room()
    await room.connect(livekit.url, token)
    answer = service.call("GET", path, "watcher")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    state = answer.json()
    assert (state["meetingId"], state["meetingName"], state["agentPresent"]) == (meeting_id, "Standup", False)
    assert abs((dt.datetime.fromisoformat(state["startedAt"]) - asked).total_seconds()) < 60
    (person,) = state["participants"]
    assert (person["identity"], person["name"], person["publishing"]) == (IDENTITY, "Ann", False)

    person_path = f"{path}/participants/{quote(IDENTITY, safe='')}"
    assert service.call("DELETE", person_path, "watcher").status_code == 403
    assert service.call("DELETE", person_path, "admin").status_code == 204

    async def removed() -> bool:
        return not room.isconnected()

    await eventually(removed, seconds=30)
    assert service.call("GET", path, "watcher").json()["participants"] == []
    assert service.call("DELETE", person_path, "admin").status_code == 404

    assert service.call("DELETE", path, "host").status_code == 403
    assert service.call("DELETE", path, "admin").status_code == 204
    assert service.call("DELETE", path, "admin").status_code == 404
    assert service.call("GET", path, "watcher").status_code == 404


@pytest.mark.parametrize("path", ["/v1/meetings/%00", "/v1/meetings/m/participants/%00"])
def test_request_is_refused_by_field_when_a_path_holds_no_id(service: TokenProcess, path: str) -> None:
    """400, naming which."""
    answer = service.call("DELETE", path, "admin")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == ("identity" if "participants" in path else "meetingId")


def test_helm_test_mints_a_token(service: TokenProcess) -> None:
    """The chart's own test passes with a key, says that it minted nothing without one, and fails where the key may not."""
    with_key = {"SERVICE_URL": service.url, "SERVICE_KEY": KEYS["participant"][0]}
    for environ, code, words in (
        (with_key, 0, "a token was minted"),
        ({"SERVICE_URL": service.url}, 0, "no token was minted"),
        (with_key | {"SERVICE_KEY": KEYS["reader"][0]}, 1, "answered 403, not 201"),
    ):
        ended = run_helm_test("token", "mint_a_token.py", environ)
        assert (ended.returncode, words in ended.stdout + ended.stderr) == (code, True), ended.stderr
