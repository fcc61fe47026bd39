"""The service over HTTP: who is let in, what is refused, and what the ledger shows."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from tests.integration.webhook_bridge.bridge_process import OTHER_KEY, Bridge
from tests.integration.webhook_bridge.conftest import Shared
from tests.servers.helm_test import run_helm_test
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, encoded, room_finished, signed
from tests.waiting import wait_until

LIMIT_BYTES = 256 * 1024


def stored(database_url: str) -> list[tuple[Any, ...]]:
    """Every row of the inbox."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT id, event, room_sid, room_name, body::text FROM webhook_bridge.inbox"
        ).fetchall()


def test_a_webhook_is_taken_on_both_paths_whatever_its_content_type(shared: Shared) -> None:
    """With and without `Bearer`."""
    for number, path in enumerate(("/webhooks/livekit", "/api/webhooks/livekit")):
        body = encoded(room_finished(f"EV_{number}"))
        assert shared.replica.deliver_body(body, signed(body), path).status_code == 200
        assert shared.replica.deliver_body(body, f"Bearer {signed(body)}", path).status_code == 200
    assert len(stored(shared.database_url)) == 2


def test_a_webhook_is_stored_once_without_credentials(shared: Shared) -> None:
    """Twice the same, and once more under another id: two webhooks, one event."""
    for webhook_id in ("EV_1", "EV_1", "EV_2"):
        assert shared.replica.deliver(room_finished(webhook_id)).status_code == 200
    rows = stored(shared.database_url)
    assert sorted(row[0] for row in rows) == ["EV_1", "EV_2"]
    assert rows[0][1:4] == ("room_finished", "RM_1", "standup")
    assert "live-credential" not in str(rows)
    wait_until(lambda: shared.replica.events(state="sent"), seconds=5)
    assert shared.inngest.ids == ["livekit-room_finished-RM_1"]


def test_a_webhook_is_stored_when_its_text_has_what_postgres_refuses(shared: Shared) -> None:
    """A NUL in a participant's name must not lose the webhook."""
    webhook = room_finished() | {"event": "participant_joined", "participant": {"name": "nul\0"}}
    assert shared.replica.deliver(webhook).status_code == 200
    assert len(stored(shared.database_url)) == 1


def test_nothing_is_stored_or_said_when_a_webhook_is_forged_or_stale(shared: Shared) -> None:
    """401 as problem+json, the same whatever was wrong."""
    body = encoded(room_finished())
    forgeries = [
        "",
        "Bearer",
        "garbage",
        signed(body, exp=1),
        signed(body, iss="somebody"),
        signed(b"{}"),
        signed(body)[:-2],
    ]
    answers = [shared.replica.deliver_body(body, forgery) for forgery in forgeries]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert len({answer.content for answer in answers}) == 1
    assert stored(shared.database_url) == []
    assert not any(
        part in shared.replica.log() for forgery in forgeries if len(forgery) > 10 for part in [forgery, forgery[-20:]]
    )


def test_a_webhook_is_malformed_when_it_is_signed_and_not_one(shared: Shared) -> None:
    """400: it would be no better the next time."""
    for body in (b"", b"{", b"[]", b'{"id": ""}'):
        assert shared.replica.deliver_body(body, signed(body)).status_code == 400
    assert stored(shared.database_url) == []


def test_a_body_is_refused_when_it_is_too_large(shared: Shared) -> None:
    """413 beyond 256 KiB, with or without a declared length; up to there it is taken."""

    def padded(size: int) -> bytes:
        empty = len(encoded(room_finished(padding="")))
        return encoded(room_finished(padding="x" * (size - empty)))

    largest, too_large = padded(LIMIT_BYTES), padded(LIMIT_BYTES + 1)
    assert len(largest) == LIMIT_BYTES
    assert shared.replica.deliver_body(too_large, signed(too_large)).status_code == 413
    assert _deliver_in_chunks(shared.replica, too_large) == 413
    assert stored(shared.database_url) == []
    assert shared.replica.deliver_body(largest, signed(largest)).status_code == 200


def test_the_service_stays_well_when_a_sender_goes_away_half_way(shared: Shared) -> None:
    """And nothing is logged as our failure."""
    host, port = shared.replica.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as sender:
            sender.sendall(b"POST /webhooks/livekit HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
    assert shared.replica.deliver(room_finished()).status_code == 200
    assert "request_failed" not in shared.replica.log()


def test_the_ledger_shows_each_event_with_its_state(shared: Shared) -> None:
    """Newest first, paged, by meeting."""
    for number in range(3):
        shared.replica.deliver(room_finished(f"EV_{number}", sid=f"RM_{number}", name=f"meeting {number}/é"))
    wait_until(lambda: len(shared.replica.events(state="sent")) == 3, seconds=5)
    page = shared.replica.get("/v1/events?limit=2").json()
    assert [event["roomSid"] for event in page["events"]] == ["RM_2", "RM_1"]
    rest = shared.replica.get(f"/v1/events?limit=2&cursor={page['next']}").json()
    assert [event["roomSid"] for event in rest["events"]] == ["RM_0"]
    assert rest["next"] is None
    (event,) = shared.replica.get(f"/v1/meetings/{quote('meeting 1/é', safe='')}/events").json()["events"]
    assert (event["id"], event["state"], event["attempts"]) == ("livekit-room_finished-RM_1", "sent", 1)
    assert event["data"]["meetingId"] == "meeting 1/é"
    assert event["receivedAt"] <= event["sentAt"]
    assert shared.replica.get("/v1/meetings/unknown/events").json() == {"events": [], "next": None}


def test_an_event_is_delivered_again_when_it_is_replayed(shared: Shared) -> None:
    """One by its id, and all of a time; what doesn't exist is 404, and reading doesn't entitle to it."""
    for number in range(2):
        shared.replica.deliver(room_finished(f"EV_{number}", sid=f"RM_{number}", name=f"meeting {number}"))
    wait_until(lambda: len(shared.replica.events(state="sent")) == 2, seconds=15)
    replayed = shared.replica.post("/v1/events/livekit-room_finished-RM_0/replay")
    assert (replayed.status_code, replayed.json()["state"]) == (202, "pending")
    wait_until(lambda: shared.inngest.ids.count("livekit-room_finished-RM_0") == 2, seconds=15)
    wait_until(lambda: len(shared.replica.events(state="sent")) == 2, seconds=15)
    page = shared.replica.post("/v1/events/replay", {"receivedFrom": "2026-01-01T00:00:00Z"})
    assert (page.status_code, page.json()) == (202, {"replayed": 2, "next": None})
    wait_until(lambda: len(shared.inngest.ids) == 5, seconds=15)
    assert shared.replica.post("/v1/events/unknown/replay").status_code == 404
    assert shared.replica.post("/v1/events/replay", {}).json()["errors"][0]["field"] == "receivedFrom"
    assert shared.replica.post("/v1/events/replay", {"receivedFrom": "x"}).status_code == 400
    assert shared.replica.post("/v1/events/unknown/replay", key=OTHER_KEY).status_code == 403


def test_a_meetings_life_shows_what_happened_when(shared: Shared) -> None:
    """From the first word of it to the event's delivery."""
    body = room_finished("EV_1", created_at=1_700_000_000)
    shared.replica.deliver(body | {"event": "room_started"})
    agent = {"event": "participant_joined", "id": "EV_2", "participant": {"identity": "agent-1", "kind": "AGENT"}}
    shared.replica.deliver(room_finished(created_at=1_700_000_002) | agent)
    shared.replica.deliver(room_finished("EV_3"))
    wait_until(lambda: shared.replica.events(state="sent"), seconds=15)
    life = shared.replica.get("/v1/meetings/standup/life").json()
    (room,) = life["rooms"]
    assert (life["meetingId"], room["roomSid"], room["toldBy"]) == ("standup", "RM_1", "RM_1")
    assert room["startedAt"] < room["agentJoinedAt"] < room["finishedAt"] < room["acceptedAt"] <= room["sentAt"]


def test_no_names_are_kept_of_a_webhook(shared: Shared) -> None:
    """Ids are; nor are an agent's instructions."""
    webhook = room_finished("EV_1", metadata="be brief") | {
        "event": "participant_joined",
        "participant": {"identity": "u-1", "name": "Ada Lovelace", "metadata": "x", "attributes": {"a": "secret"}},
    }
    shared.replica.deliver(webhook)
    (row,) = stored(shared.database_url)
    assert "u-1" in row[4]
    assert not any(word in row[4] for word in ("Ada", "brief", "secret"))


def test_the_ledger_is_shown_only_to_keys_with_its_scope(shared: Shared) -> None:
    """401 without a key, 403 with another's."""
    for path in ("/v1/events", "/v1/meetings/standup/events"):
        assert shared.replica.get(path, key=None).status_code == 401
        assert shared.replica.get(path, key="guess").status_code == 401
        assert shared.replica.get(path, key=OTHER_KEY).status_code == 403


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/events?cursor=x", "cursor"),
        ("/v1/events?cursor=99999999999999999999", "cursor"),
        ("/v1/events?cursor=%F0%9F%98%80", "cursor"),
        ("/v1/events?cursor=-1", "cursor"),
        ("/v1/events?limit=0", "limit"),
        ("/v1/events?limit=501", "limit"),
        ("/v1/events?limit=x", "limit"),
        ("/v1/events?state=lost", "state"),
        ("/v1/events?from=yesterday", "from"),
        ("/v1/events?before=tomorrow", "before"),
        ("/v1/events?name=%00", "name"),
        ("/v1/events?roomSid=%00", "roomSid"),
        ("/v1/meetings/%00/events", "meetingId"),
        ("/v1/meetings/%FF/events", "meetingId"),
        ("/v1/meetings/standup/events?name=%00", "name"),
        ("/v1/meetings/standup/events?state=lost", "state"),
    ],
)
def test_a_ledger_query_is_refused_when_it_is_bad(shared: Shared, path: str, field: str) -> None:
    """400, the field named as the caller knows it."""
    answer = shared.replica.get(path)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "wanted",
    [{"meeting": "nosuch"}, {"roomSid": "RM_1"}, {"name": "\0"}, {"meetingId": "\0"}, {"state": "pending"}],
    ids=str,
)
def test_nothing_is_replayed_when_a_filter_is_bad(shared: Shared, wanted: dict[str, str]) -> None:
    """400, the field named: a filter that isn't understood must not mean every event."""
    answer = shared.replica.post("/v1/events/replay", {"receivedFrom": "2026-01-01T00:00:00Z", **wanted})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(wanted)


def test_the_service_describes_and_measures_itself(shared: Shared) -> None:
    """OpenAPI and metrics, with labels out of a known few."""
    shared.replica.deliver(room_finished())
    shared.replica.deliver({"id": "EV_2", "event": "moon_landed"})
    schema = shared.replica.get("/schema", key=None).json()
    assert {"/webhooks/livekit", "/api/webhooks/livekit", "/v1/events", "/v1/meetings/{meeting_id}/events"} <= set(
        schema["paths"]
    )
    wait_until(lambda: 'event_attempts_total{outcome="sent"}' in shared.replica.get("/metrics").text, seconds=5)
    metrics = shared.replica.get("/metrics").text
    assert 'meetai_bridge_webhooks_total{event="room_finished",outcome="accepted"}' in metrics
    assert 'meetai_bridge_webhooks_total{event="other",outcome="accepted"}' in metrics
    assert "moon_landed" not in metrics
    assert "meetai_bridge_oldest_pending_seconds" in metrics


def _deliver_in_chunks(replica: Bridge, body: bytes) -> int:
    """Deliver without a Content-Length; returns the status."""
    host, port = replica.url.removeprefix("http://").split(":")
    head = f"POST /webhooks/livekit HTTP/1.1\r\nHost: x\r\nAuthorization: {signed(body)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as sender:
        sender.sendall(head.encode() + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        return int(sender.recv(100).split()[1])


def test_helm_test_posts_a_signed_webhook(shared: Shared) -> None:
    """The chart's own test passes with LiveKit's key pair, fails with another, and starts nothing in Inngest."""
    environ = {"SERVICE_URL": shared.replica.url, "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET}
    ended = run_helm_test("webhook-bridge", "post_a_webhook.py", environ)
    assert ended.returncode == 0, ended.stderr
    wrong = run_helm_test("webhook-bridge", "post_a_webhook.py", environ | {"LIVEKIT_API_SECRET": "x" * 32})
    assert (wrong.returncode, wrong.stderr.strip()) == (1, "answered 401, not 200")
    assert shared.replica.events() == []
