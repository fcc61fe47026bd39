"""A meeting's words are forgotten: none is left in any row, none goes out any more, and the ledger still adds up."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from tests.integration.webhook_bridge.bridge_process import ERASER_KEY, READER_KEY, Bridge
from tests.integration.webhook_bridge.conftest import Shared
from tests.unit.webhook_bridge.webhooks import metadata, room_finished
from tests.waiting import wait_until

MEETING = "q3/planning"
WORDS = ("maya-jones", "Clinic on Monday", "Scribe")
WAIT_SECONDS = 30


def joined(webhook_id: str, name: str) -> dict[str, Any]:
    person = {"sid": "PA_1", "identity": "maya-jones", "name": "Maya Jones", "state": "ACTIVE"}
    return {
        **room_finished(webhook_id, sid=f"RM_{name}", name=name),
        "event": "participant_joined",
        "participant": person,
    }


def started(webhook_id: str, name: str) -> dict[str, Any]:
    return {**room_finished(webhook_id, sid=f"RM_{name}", name=name, metadata=metadata(name)), "event": "room_started"}


def erase(replica: Bridge, meeting_id: str, key: str | None = ERASER_KEY) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.delete(f"{replica.url}/v1/meetings/{quote(meeting_id, safe='')}", headers=headers, timeout=30)


def rows_with(database: psycopg.Connection[Any], word: str) -> set[str]:
    """The tables that have a word anywhere."""
    tables = ("inbox", "outbox", "rooms", "unreadable_entries")
    return {
        t for t in tables if database.execute(f"SELECT FROM {t} AS r WHERE r::text LIKE %s", [f"%{word}%"]).fetchall()
    }


def decide(database: psycopg.Connection[Any], number: int, meeting_id: str, state: str) -> None:
    """What an agent's decision leaves in the outbox; the pending one is never due."""
    database.execute(
        "INSERT INTO outbox (id, name, source, meeting_id, room_sid, occurred_at, data, state, next_attempt_at) VALUES"
        " (%s, 'meetai/calendar_event.approved', 'stream', %s, 'RM_x', now(), %s, %s, 'infinity')",
        [
            f"decision-{number}",
            meeting_id,
            '{"decidedBy": "maya-jones", "event": {"title": "Clinic on Monday"}}',
            state,
        ],
    )


def test_no_word_of_a_meeting_is_left_when_it_is_erased(shared: Shared) -> None:
    """Ids, times and states are; its end is told as if nothing had happened, its decisions are told no more; others keep theirs."""
    replica = shared.replica
    for number, name in enumerate((MEETING, "other")):
        for webhook in (started(f"EV_s{number}", name), joined(f"EV_j{number}", name)):
            assert replica.deliver(webhook).status_code == 200
    options = "-c search_path=webhook_bridge"
    with psycopg.connect(shared.database_url, autocommit=True, options=options) as database:
        for number, (meeting_id, state) in enumerate([(MEETING, "sent"), (MEETING, "pending"), ("other", "sent")]):
            decide(database, number, meeting_id, state)
        unreadable = b'{"v":9,"data":{"meetingId":"%s","title":"Clinic on Monday"}}' % MEETING.encode()
        database.execute("INSERT INTO unreadable_entries (id, payload) VALUES ('u', %s)", [unreadable])
        assert erase(replica, MEETING, READER_KEY).status_code == 403
        assert erase(replica, MEETING, None).status_code == 401
        for _ in range(2):
            assert erase(replica, MEETING).status_code == 204
        left = database.execute("SELECT id, body FROM inbox WHERE room_name = %s ORDER BY id", [MEETING]).fetchall()
        assert left == [("EV_j0", {"erased": True}), ("EV_s0", {"erased": True})]
        assert database.execute("SELECT payload FROM unreadable_entries").fetchall() == [(b"",)]
        database.execute("DELETE FROM unreadable_entries")
        assert database.execute("SELECT metadata FROM rooms WHERE name = %s", [MEETING]).fetchall() == [(None,)]
        decisions = replica.get(f"/v1/meetings/{quote(MEETING, safe='')}/events").json()["events"]
        assert [(entry["id"], entry["state"]) for entry in decisions] == [
            ("decision-1", "dead"),
            ("decision-0", "sent"),
        ]
        assert {str(entry["data"]) for entry in decisions} == {
            str({"erased": True, "roomSid": "RM_x", "meetingId": MEETING})
        }
        assert replica.post("/v1/events/decision-0/replay").json()["state"] == "sent"
        # Told again, it stays out; the end of the meeting goes out.
        assert replica.deliver(joined("EV_j0", MEETING)).status_code == 200
        assert replica.deliver(room_finished("EV_f0", sid=f"RM_{MEETING}", name=MEETING)).status_code == 200
        wait_until(lambda: len(shared.inngest.taken) == 1, seconds=WAIT_SECONDS)
        database.execute("DELETE FROM inbox WHERE room_name = 'other'")
        assert rows_with(database, "maya-jones") == {"outbox"}
        database.execute("DELETE FROM rooms WHERE name = 'other'")
        database.execute("DELETE FROM outbox WHERE meeting_id = 'other'")
        assert [rows_with(database, word) for word in WORDS] == [set()] * len(WORDS)
    assert shared.inngest.ids == [f"livekit-room_finished-RM_{MEETING}"]


def test_answer_is_the_same_when_nobody_has_heard_of_the_meeting(shared: Shared) -> None:
    assert erase(shared.replica, "never heard of").status_code == 204
