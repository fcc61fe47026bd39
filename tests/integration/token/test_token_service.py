"""The service as a process, over HTTP, with a real LiveKit server or without one."""

from __future__ import annotations

import datetime as dt
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from livekit import rtc
from livekit.api import LiveKitAPI
from livekit.protocol.room import DeleteRoomRequest, ListParticipantsRequest, ListRoomsRequest
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.integration.token.token_process import KEYS, TokenProcess, environment, token_process
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port

ANN = {"userId": "u-1", "userName": "Ann"}
PUBLIC_URL = "wss://meet.example.com"


@pytest.fixture(scope="module")
def service(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProcess]:
    extra = {"LIVEKIT_PUBLIC_URL": PUBLIC_URL}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as running:
        yield running


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return claims


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem.get("errors", ())]


def test_token_is_given_when_the_caller_may(service: TokenProcess, meeting_id: str) -> None:
    """201, not to be stored, with all that a client needs."""
    asked = dt.datetime.now(dt.UTC)
    answer = service.ask(quote(meeting_id, safe=""), {**ANN, "role": "host"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    body = answer.json()
    assert set(body) == {"serverUrl", "participantToken", "roomName", "expiresAt"}
    assert (body["serverUrl"], body["roomName"]) == (PUBLIC_URL, meeting_id)
    expires_at = dt.datetime.fromisoformat(body["expiresAt"])
    assert 595 <= (expires_at - asked).total_seconds() <= 605
    claims = claims_of(body["participantToken"])
    assert (claims["sub"], claims["name"], claims["video"]["room"]) == ("u-1", "Ann", meeting_id)
    assert claims["exp"] == expires_at.timestamp()


@pytest.mark.parametrize("meeting_id", ["a/b", "a b", "😀", "...", "%2F", "a?b#c", "语" * 85, "a" * 256, "é", "\u00a0"])
async def test_room_is_found_when_its_id_is_awkward(
    service: TokenProcess, livekit_api: LiveKitAPI, meeting_id: str
) -> None:
    """Any id that the contract allows names the room, byte for byte."""
    answer = service.ask(quote(meeting_id, safe=""), ANN)
    assert answer.status_code == 201, answer.text
    assert answer.json()["roomName"] == meeting_id
    listed = await livekit_api.room.list_rooms(ListRoomsRequest(names=[meeting_id]))
    assert json.loads(listed.rooms[0].metadata)["meetingData"]["id"] == meeting_id


@pytest.mark.parametrize("segment", ["%00", "%E2%80%AEx", "a" * 257, "e%CC%81", "%FF", "%ED%A0%80"])
def test_request_is_refused_when_the_id_is_not_acceptable(service: TokenProcess, segment: str) -> None:
    """Control and bidi characters, too long, not in NFC, not UTF-8."""
    answer = service.ask(segment, ANN)
    assert answer.status_code == 400
    assert fields(answer.json()) == ["meetingId"]


async def test_room_is_ready_when_the_token_is_given(
    service: TokenProcess, livekit_api: LiveKitAPI, meeting_id: str
) -> None:
    """Metadata and dispatch are in LiveKit, and the same are in the token."""
    agent = {"name": "Clara", "instructions": "Be brief.", "language": "en"}
    answer = service.ask(quote(meeting_id, safe=""), {**ANN, "meetingName": "Standup", "agent": agent})
    metadata = {"v": 1, "meetingData": {"id": meeting_id, "name": "Standup"}, "agentData": agent}
    listed = await livekit_api.room.list_rooms(ListRoomsRequest(names=[meeting_id]))
    assert json.loads(listed.rooms[0].metadata) == metadata
    dispatches = await livekit_api.agent_dispatch.list_dispatch(meeting_id)
    assert [dispatch.agent_name for dispatch in dispatches] == ["meetai"]
    config = claims_of(answer.json()["participantToken"])["roomConfig"]
    assert config == {"metadata": listed.rooms[0].metadata, "agents": [{"agentName": "meetai"}]}


async def test_room_is_right_when_the_first_join_comes_late(
    service: TokenProcess, livekit: EmbeddedServer, livekit_api: LiveKitAPI, meeting_id: str
) -> None:
    """The room that was made with the token is gone; the join makes it again, with metadata and dispatch."""
    answer = service.ask(quote(meeting_id, safe=""), {**ANN, "role": "viewer", "meetingName": "Late"})
    await livekit_api.room.delete_room(DeleteRoomRequest(room=meeting_id))
    room = rtc.Room()
    await room.connect(livekit.url, answer.json()["participantToken"])
    try:
        assert json.loads(room.metadata)["meetingData"]["name"] == "Late"
        dispatches = await livekit_api.agent_dispatch.list_dispatch(meeting_id)
        assert [dispatch.agent_name for dispatch in dispatches] == ["meetai"]
        (person,) = (await livekit_api.room.list_participants(ListParticipantsRequest(room=meeting_id))).participants
        assert (person.identity, person.name) == ("u-1", "Ann")
        granted = person.permission
        assert (granted.can_publish, granted.can_subscribe, granted.can_publish_data) == (False, True, False)
        assert (granted.can_update_metadata, granted.hidden) == (False, False)
    finally:
        await room.disconnect()


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer nobody", "Basic {key}", "Bearer {key}x", "{key}"]
)
def test_caller_is_refused_when_unknown(service: TokenProcess, authorization: str | None) -> None:
    """401 with how to authenticate, whatever is wrong with the credential."""
    headers = {} if authorization is None else {"Authorization": authorization.format(key=KEYS["host"][0])}
    answer = httpx.post(f"{service.url}/v1/meetings/m/tokens", json=ANN, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("key", "role", "named"),
    [
        ("participant", "host", "viewer, participant"),
        ("viewer", "participant", "viewer"),
        ("reader", None, "tokens:viewer"),
    ],
)
def test_caller_is_refused_when_the_role_is_above_theirs(
    service: TokenProcess, key: str, role: str | None, named: str
) -> None:
    """403, naming the field, and what would be accepted."""
    answer = service.ask("m", {**ANN, "role": role}, key=key)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == "role"
    assert named in error["message"]


@pytest.mark.parametrize(("key", "publish"), [("host", True), ("participant", True), ("viewer", False)])
def test_role_is_what_the_key_gives_when_the_body_has_none(service: TokenProcess, key: str, publish: bool) -> None:
    """Participant, or less."""
    answer = service.ask("roles", ANN, key=key)
    assert claims_of(answer.json()["participantToken"])["video"]["canPublish"] is publish


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"userName": "Ann"}, "userId"),
        ({"userId": "u"}, "userName"),
        ({**ANN, "userId": ""}, "userId"),
        ({**ANN, "userId": "a\u202eb"}, "userId"),
        ({**ANN, "userId": 7}, "userId"),
        ({**ANN, "userName": " "}, "userName"),
        ({**ANN, "userName": "n" * 257}, "userName"),
        ({**ANN, "meetingName": "\n"}, "meetingName"),
        ({**ANN, "role": "king"}, "role"),
        ({**ANN, "video": {"roomAdmin": True}}, "video"),
        ({**ANN, "metadata": "{}"}, "metadata"),
        ({**ANN, "agent": {"name": "Clara"}}, "agent.instructions"),
        ({**ANN, "agent": {"name": "Clara", "instructions": "", "model": "large"}}, "agent.model"),
        ({**ANN, "agent": {"name": "", "instructions": ""}}, "agent.name"),
        ({**ANN, "agent": {"name": "Clara", "instructions": "", "language": "!"}}, "agent.language"),
        ({**ANN, "agent": {"name": "Clara", "instructions": "語" * 6_000}}, "agent"),
        ([], ""),
        (b"", ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"[" * 30_000, ""),
        (b'{"userId":"\\ud800","userName":"Ann"}', ""),
    ],
)
def test_body_is_refused_by_field_when_it_is_wrong(service: TokenProcess, body: object, field: str) -> None:
    """400 problem+json that names the field."""
    answer = service.ask("m", body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert fields(problem) in ([field], [] if field == "" else [field])


def test_body_is_refused_when_it_is_large(service: TokenProcess) -> None:
    """Over 32 KiB."""
    assert service.ask("m", b" " * 33_000).status_code == 413


def test_log_has_who_and_never_the_token_when_one_is_given(service: TokenProcess) -> None:
    """One audit line, one line for the request, and no secret in any."""
    token = service.ask("audited", {**ANN, "userId": "u-audit"}).json()["participantToken"]
    lines = [json.loads(line) for line in service.log().splitlines()]
    (audit,) = [line for line in lines if line.get("identity") == "u-audit"]
    assert (audit["event"], audit["caller"], audit["meeting_id"]) == ("token_minted", "host", "audited")
    assert audit["jti"] == claims_of(token)["jti"]
    secrets = [token, token.rpartition(".")[2], API_SECRET, *(secret for secret, _ in KEYS.values())]
    assert not any(secret in service.log() for secret in secrets)


def test_operations_are_served_when_livekit_answers(service: TokenProcess) -> None:
    """Ready, measured and documented."""
    service.ask("m", ANN)
    assert service.get("/readyz").json() == {"status": "ok", "checks": {"livekit": "ok"}}
    metrics = service.get("/metrics").text
    assert 'meetai_tokens_minted_total{role="participant"}' in metrics
    assert 'meetai_livekit_call_seconds_count{call="create_room",outcome="ok"}' in metrics
    assert "/v1/meetings/{meeting_id}/tokens" in service.get("/schema").json()["paths"]


@pytest.fixture(params=["refusing", "silent"])
def livekit_away(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where LiveKit should be: nobody listens, or somebody takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        if request.param == "refusing":
            listener.close()
        yield f"ws://127.0.0.1:{port}"


def test_service_says_so_in_time_when_livekit_is_away(
    livekit_away: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It starts, lives, isn't ready, answers 503 with Retry-After and no hang, and ends at SIGTERM with 0."""
    with token_process(tmp_path_factory.mktemp("token"), livekit_away) as service:
        assert service.get("/livez").status_code == 200
        ready = service.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        answer = service.ask("m", ANN)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "LiveKit" in answer.json()["detail"]
        assert service.terminate() == 0
        assert "Traceback" not in service.log()


def test_token_opens_the_room_when_livekit_has_changed_keys(
    livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first pair is gone from LiveKit: the very first token is signed with the second."""
    environment = {"LIVEKIT_API_KEY": "retired", "LIVEKIT_API_SECRET": "0123456789abcdefghijklmnopqrstuv"}
    environment |= {"LIVEKIT_API_KEY_NEXT": API_KEY, "LIVEKIT_API_SECRET_NEXT": API_SECRET}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, environment) as service:
        answer = service.ask("rotated", ANN)
        assert claims_of(answer.json()["participantToken"])["iss"] == API_KEY


def test_service_ends_well_when_told_to(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """SIGTERM: exit code 0, and its last line says so."""
    with token_process(tmp_path_factory.mktemp("token"), livekit.url) as service:
        assert service.terminate() == 0
        assert json.loads(service.log().splitlines()[-1])["event"] == "service_stopped"


def run_with(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meetai_token"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_all_problems_are_named_when_settings_are_wrong() -> None:
    """At once, each by its name, none with its value; exit code 2."""
    wrong = {
        "LIVEKIT_URL": "not-a-url-Qx7",
        "LIVEKIT_API_SECRET": "short-Qx7",
        "SERVICE_KEYS": "nonsense-Qx7",
        "TOKEN_TTL_SECONDS": "59",
        "PORT": "80000",
        "LOG_LEVEL": "LOUD-Qx7",
    }
    ended = run_with(wrong)
    assert ended.returncode == 2
    for name in [*wrong, "LIVEKIT_API_KEY"]:
        assert ended.stderr.count(f"settings: {name}: ") == 1, ended.stderr
    assert "Qx7" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_port_is_named_when_it_is_taken(service: TokenProcess, livekit: EmbeddedServer) -> None:
    """One line that says which, and what to set."""
    port = int(service.url.rpartition(":")[2])
    ended = run_with(environment(livekit.url, port))
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "PORT" in ended.stderr
