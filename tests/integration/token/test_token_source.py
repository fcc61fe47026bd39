"""LiveKit's own clients get in unmodified: the npm package `livekit-client`, and what the Meet example sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from google.protobuf import json_format
from livekit import rtc
from livekit.protocol.room import RoomConfiguration
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.integration.token.token_process import KEYS, TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer
from tests.servers.node import run_script

PAGE = "https://meet.example.com"
FRESH = re.compile(r"^guest-[0-9a-f]{32}$")


@pytest.fixture(scope="module")
def service(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProcess]:
    extra = {"CORS_ORIGINS": f"{PAGE}, http://localhost:3000"}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as running:
        yield running


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return claims


def bearer(key: str = "participant") -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[key][0]}"}


def posted(service: TokenProcess, body: object, key: str = "participant") -> httpx.Response:
    return httpx.post(f"{service.url}/livekit/token", json=body, headers=bearer(key), timeout=5)


def queried(service: TokenProcess, key: str = "participant", **query: str) -> httpx.Response:
    return httpx.get(f"{service.url}/livekit/token", params=query, headers=bearer(key), timeout=5)


def client_asks(node: str, service: TokenProcess, options: str, key: str = "participant") -> Any:
    return run_script(
        node,
        "token_source.mjs",
        TOKEN_ENDPOINT=f"{service.url}/livekit/token",
        CREDENTIAL=KEYS[key][0],
        OPTIONS=options,
    )


async def test_livekit_client_gets_in_when_it_asks_by_itself(
    service: TokenProcess, livekit: EmbeddedServer, node: str
) -> None:
    """The real npm package asks, keeps the answer for as long as it is good, and its token opens the room."""
    options = '{"roomName": "npm é", "participantName": "Zoë", "participantIdentity": "u-1", "agentName": "meetai"}'
    got = client_asks(node, service, options)
    assert got["cached"]
    assert got["details"]["serverUrl"] == livekit.url
    assert (got["claims"]["sub"], got["claims"]["name"], got["claims"]["video"]["room"]) == ("u-1", "Zoë", "npm é")
    room = rtc.Room()
    await room.connect(got["details"]["serverUrl"], got["details"]["participantToken"])
    try:
        assert (room.name, room.local_participant.identity) == ("npm é", "u-1")
    finally:
        await room.disconnect()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ('{"roomName": "npm", "participantMetadata": "{}"}', "participant_metadata"),
        ('{"roomName": "npm", "participantAttributes": {"role": "host"}}', "participant_attributes"),
        ('{"roomName": "npm", "agentName": "another"}', "room_config.agents"),
        ('{"roomName": "npm", "agentName": "meetai", "agentMetadata": "obey"}', "room_config.agents"),
        ("{}", "room_name"),
    ],
)
def test_livekit_client_is_refused_by_name_when_it_chooses_too_much(
    service: TokenProcess, node: str, options: str, field: str
) -> None:
    """Its error says which field; nothing is ignored."""
    refusal = client_asks(node, service, options)["refused"]
    assert re.search(r"received 40[03] ", refusal)
    assert field in refusal


@pytest.mark.parametrize(
    "body",
    [
        {"room_name": "ts", "participant_identity": "u-1", "participant_name": "Ann"},
        {"roomName": "ts", "participantIdentity": "u-1", "participantName": "Ann"},
        {"room_name": "ts", "participant_identity": "u-1", "participant_name": "Ann", "participant_metadata": None},
        {"room_name": "ts", "participant_identity": "u-1", "participant_name": "Ann", "participant_attributes": {}},
        {"room_name": "ts", "participant_identity": "u-1", "participant_name": "Ann", "participant_metadata": ""},
        {"room_name": "ts", "participant_identity": "u-1", "participant_name": "Ann", "room_config": {"agents": []}},
    ],
)
def test_answer_is_the_protocols_when_sdks_differ(service: TokenProcess, body: dict[str, object]) -> None:
    """Either case of names, and nothing said in several ways; 201, two fields, not to be stored."""
    answer = posted(service, body)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store"), answer.text
    assert set(answer.json()) == {"server_url", "participant_token"}
    claims = claims_of(answer.json()["participant_token"])
    assert (claims["sub"], claims["name"], claims["video"]["room"]) == ("u-1", "Ann", "ts")
    assert claims["nbf"] < claims["exp"] == claims["nbf"] + 600


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"room_name": "a\u202eb"}, 400, "room_name"),
        ({"room_name": "ts", "participant_identity": "\n"}, 400, "participant_identity"),
        ({"room_name": "ts", "participant_name": " "}, 400, "participant_name"),
        ({"room_name": "ts", "room_config": {"egress": {}}}, 400, "room_config.egress"),
        ({"room_name": "ts", "room_config": {"metadata": "{}"}}, 400, "room_config.metadata"),
        ({"room_name": "ts", "video": {"roomAdmin": True}}, 400, "video"),
        ({"room_name": "ts", "role": "host"}, 400, "role"),
        ({"room_name": "ts", "room_config": {"agents": [{"agent_name": "x"}]}}, 403, "room_config.agents"),
    ],
)
def test_field_is_named_when_it_is_refused(service: TokenProcess, body: object, status: int, field: str) -> None:
    """By its name in the request."""
    answer = posted(service, body)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_meet_example_gets_in_when_it_asks_as_it_does(service: TokenProcess) -> None:
    """`GET` with the room and the name that the person typed; whoever has no identity gets a fresh one."""
    answers = [queried(service, roomName="meet", participantName="Ann", metadata="") for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert set(answer.json()) == {"serverUrl", "roomName", "participantToken", "participantName"}
        assert (answer.json()["roomName"], answer.json()["participantName"]) == ("meet", "Ann")
    identities = {claims_of(answer.json()["participantToken"])["sub"] for answer in answers}
    assert len(identities) == 2
    assert all(FRESH.match(identity) for identity in identities)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "roomName"),
        ({"roomName": "meet", "metadata": "{}"}, "metadata"),
        ({"roomName": "meet", "participantIdentity": "u-1"}, "participantIdentity"),
        ({"roomName": "\u202e"}, "roomName"),
        ({"roomName": "meet", "participantName": " "}, "participantName"),
    ],
)
def test_query_is_refused_by_name_when_it_is_wrong(service: TokenProcess, query: dict[str, str], field: str) -> None:
    """As for `POST`."""
    answer = queried(service, **query)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_query_is_refused_when_it_is_not_utf8(service: TokenProcess) -> None:
    """Else whoever writes other bytes would meet in one and the same room, U+FFFD."""
    answer = httpx.get(f"{service.url}/livekit/token?roomName=%ff", headers=bearer(), timeout=5)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["query"]


def test_caller_is_needed_when_a_client_asks(service: TokenProcess) -> None:
    """401 without a credential, 403 with one that gives no role."""
    assert httpx.post(f"{service.url}/livekit/token", json={"room_name": "ts"}).status_code == 401
    assert httpx.get(f"{service.url}/livekit/token", params={"roomName": "ts"}).status_code == 401
    assert posted(service, {"room_name": "ts"}, key="reader").status_code == 403


def test_page_may_call_when_its_origin_is_set_and_no_other(service: TokenProcess) -> None:
    """A browser asks first; the answer names the origin, never `*` and never credentials."""
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    url = f"{service.url}/livekit/token"
    allowed = httpx.options(url, headers={"Origin": PAGE, **asks})
    assert allowed.status_code in {200, 204}
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert {"authorization", "content-type"} <= set(allowed.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in allowed.headers
    foreign = httpx.options(url, headers={"Origin": "https://meet.example.com.evil.org", **asks})
    assert "access-control-allow-origin" not in foreign.headers
    for origin, expected in ((PAGE, PAGE), ("https://evil.org", None), ("null", None)):
        answer = httpx.post(url, json={"room_name": "ts"}, headers={**bearer(), "Origin": origin})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (201, expected)


def test_page_may_have_a_browser_ask_when_cookies_go_along_and_it_is_one_of_ours(
    livekit: EmbeddedServer, tmp_path: Path
) -> None:
    """CORS hides the answer from others, and what they asked for would be done: a proxy makes a credential of the cookie."""
    ours, own = PAGE, "same-origin"
    with token_process(tmp_path, livekit.url, {"CORS_ORIGINS": PAGE, "CORS_CREDENTIALS": "true"}) as service:

        def asked(**of_a_browser: str) -> set[int]:
            headers = {**bearer(), **{name.replace("_", "-"): value for name, value in of_a_browser.items()}}
            plain = {**headers, "Content-Type": "text/plain"}  # which no browser asks about first
            return {
                httpx.post(f"{service.url}/livekit/token", content=b'{"room_name": "ts"}', headers=plain).status_code,
                httpx.get(f"{service.url}/livekit/token?roomName=ts", headers=headers).status_code,
            }

        assert asked() == {201, 200}, "no browser"
        assert asked(origin=ours, sec_fetch_site="cross-site") == {201, 200}
        assert asked(origin=service.url, sec_fetch_site=own) == {201, 200}
        assert asked(origin=service.url) == {201, 200}
        assert asked(origin="https://evil.org", sec_fetch_site="cross-site") == {403}
        assert asked(origin="https://evil.org") == {403}
        assert asked(origin="null") == {403}
        assert asked(sec_fetch_site="cross-site") == {403}, "an image, say"
        assert asked(origin=f"{PAGE}.evil.org", sec_fetch_site="same-site") == {403}
        asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        assert httpx.options(f"{service.url}/livekit/token", headers=asks).status_code in {200, 204}


def test_sdks_verifier_accepts_the_token_when_it_is_javascript(service: TokenProcess, node: str) -> None:
    """`livekit-server-sdk` from npm reads what was meant."""
    token = posted(service, {"room_name": "ts", "participant_identity": "u-1"}, key="viewer").json()[
        "participant_token"
    ]
    claims = run_script(node, "verify.mjs", TOKEN=token, API_KEY=API_KEY, API_SECRET=API_SECRET)
    video = claims["video"]
    assert (claims["sub"], video["room"], video["roomJoin"], video["canPublish"]) == ("u-1", "ts", True, False)
    assert claims["roomConfig"]["agents"][0]["agentName"] == "meetai"


def test_claims_equal_the_javascript_sdks_when_the_input_is_the_same(service: TokenProcess, node: str) -> None:
    """Claim by claim; `jti` is ours alone, where the SDK writes the identity, and each takes its own time."""
    ours = claims_of(posted(service, {"room_name": "é", "participant_identity": "u-1"}).json()["participant_token"])
    given = {"identity": ours["sub"], "name": ours["name"], "ttlSeconds": 600}
    given |= {"video": ours["video"], "roomConfig": ours["roomConfig"]}
    made = run_script(node, "mint.mjs", INPUT=json.dumps(given), API_KEY=API_KEY, API_SECRET=API_SECRET)
    theirs = claims_of(made["token"])
    assert ours.pop("jti") != theirs.pop("jti", None)
    assert ours["exp"] - ours["nbf"] == theirs["exp"] - theirs["nbf"] == 600
    for claim in ("nbf", "exp"):
        del ours[claim], theirs[claim]
    theirs.pop("iat", None)
    for claims in (
        ours,
        theirs,
    ):  # that SDK writes out what protobuf's JSON leaves out: what isn't there is the default
        claims["roomConfig"] = json_format.ParseDict(claims["roomConfig"], RoomConfiguration())
    assert ours == theirs
