"""Dead letters through the running service and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import OTHER_KEY, READER_KEY, Ingest, ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key

WAIT_SECONDS = 15
Connection = psycopg.Connection[tuple[object, ...]]


OPTIONS = "-c search_path=transcript_ingest"


@pytest.fixture
def database(module_database_url: str) -> Iterator[Connection]:
    """The replica's database, empty."""
    with psycopg.connect(module_database_url, autocommit=True, options=OPTIONS) as connection:
        connection.execute("TRUNCATE lines, producers, dead_letters, audit")
        yield connection


def bury(database: Connection, payload: bytes, entry_id: str = "1-1") -> int:
    """A dead letter of a version that was unknown, and is known by now."""
    row = database.execute(
        "INSERT INTO dead_letters (stream, entry_id, reason, detail, payload) VALUES ('s', %s, 'unknown_version', 'why', %s)"
        " RETURNING id",
        [entry_id, payload],
    ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def counted(database: Connection, table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def command(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meetai_transcript_ingest", "dead-letters", *arguments],
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/dead-letters"),
        ("GET", "/v1/dead-letters/1"),
        ("DELETE", "/v1/dead-letters/1"),
        ("POST", "/v1/dead-letters/1/redrive"),
        ("POST", "/v1/dead-letters/redrive"),
    ],
)
def test_nothing_is_shown_when_the_key_may_only_read(replica: Ingest, method: str, path: str) -> None:
    """403 for a key without the scope, 401 without a key, whether the letter exists or not."""
    assert replica.ask(method, path, key=READER_KEY, json={}).status_code == 403
    assert replica.ask(method, path, key=OTHER_KEY, json={}).status_code == 403
    assert replica.ask(method, path, key=None, json={}).status_code == 401


def test_letter_is_listed_shown_redriven_and_discarded_when_asked_over_http(
    replica: Ingest, stream_client: redis.Redis, database: Connection
) -> None:
    """Text is in the one answer that shows a letter, and in no other; what can be read by now is stored."""
    producer = Producer("standup")
    secret = "said in confidence"
    stream_client.xadd(stream_key(0), {BATCH_FIELD: encode_batch(producer.batch(producer.line("first")))})
    stream_client.xadd(stream_key(0), {BATCH_FIELD: encode_batch(producer.batch(producer.line(secret, seq=1)))})
    stream_client.xadd(stream_key(0), {BATCH_FIELD: producer.close()})
    readable = bury(database, Producer("other").say(3))
    wait_until(lambda: counted(database, "dead_letters") == 2, seconds=WAIT_SECONDS)
    listed = replica.ask("GET", "/v1/dead-letters", params={"meetingId": "standup"})
    (letter,) = listed.json()["deadLetters"]
    assert (letter["reason"], letter["seq"], letter["producerId"]) == ("conflict", 1, str(producer.producer_id))
    shown = replica.ask("GET", f"/v1/dead-letters/{letter['id']}")
    assert shown.json()["batch"]["lines"][0]["text"] == secret
    assert shown.headers["cache-control"] == "no-store"
    redriven = replica.ask("POST", "/v1/dead-letters/redrive", json={})
    assert redriven.json() == {"redriven": 1, "discarded": 0, "stayed": 1, "lines": 3, "next": None}
    assert len(replica.transcript("other")) == 3
    assert replica.ask("GET", f"/v1/dead-letters/{readable}").status_code == 404
    assert not replica.is_complete("standup")
    assert replica.ask("DELETE", f"/v1/dead-letters/{letter['id']}").status_code == 204
    assert replica.ask("DELETE", f"/v1/dead-letters/{letter['id']}").status_code == 404
    assert replica.is_complete("standup")
    assert database.execute("SELECT actor, action, meeting_id FROM audit").fetchall() == [
        ("admin", "dead_letter_discarded", "standup")
    ]
    assert secret not in listed.text + redriven.text + replica.log()
    assert replica.metric("meetai_ingest_dead_letters_redriven_total") == 3


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "field"),
    [
        ("GET", "/v1/dead-letters?limit=0", {}, 400, "limit"),
        ("GET", "/v1/dead-letters?cursor=x", {}, 400, "cursor"),
        ("GET", "/v1/dead-letters?cursor=99999999999999999999", {}, 400, "cursor"),
        ("GET", "/v1/dead-letters/x", {}, 404, None),
        ("POST", "/v1/dead-letters/9/redrive", {}, 404, None),
        ("POST", "/v1/dead-letters/redrive", {"json": {"limit": 501}}, 400, "limit"),
        ("POST", "/v1/dead-letters/redrive", {"json": {"diedFrom": "yesterday"}}, 400, "diedFrom"),
        ("POST", "/v1/dead-letters/redrive", {"content": b"{"}, 400, None),
        ("POST", "/v1/dead-letters/redrive", {"json": {"meeting": "nosuch"}}, 400, "meeting"),
        ("GET", "/v1/dead-letters?reason=%00", {}, 400, "reason"),
        ("GET", "/v1/dead-letters?meetingId=%00", {}, 400, "meetingId"),
        ("POST", "/v1/dead-letters/redrive", {"json": {"reason": "\0"}}, 400, "reason"),
        ("POST", "/v1/dead-letters/redrive", {"json": {"meetingId": "\0"}}, 400, "meetingId"),
        ("POST", "/v1/dead-letters/redrive", {"content": b'{"meetingId": "\\ud800"}'}, 400, None),
    ],
)
def test_field_is_named_when_a_request_is_wrong(
    replica: Ingest, method: str, path: str, options: dict[str, Any], status: int, field: str | None
) -> None:
    """400 with the field, 404 for what no letter can be called."""
    response = replica.ask(method, path, **options)
    assert response.status_code == status
    assert [error["field"] for error in response.json().get("errors", [])][:1] == ([field] if field else [])


def test_line_is_stored_once_when_the_service_is_killed_while_it_redrives(
    tmp_path: Path, module_database_url: str, database: Connection, redis_url: str
) -> None:
    """Killed after it wrote the lines and before it removed the letter: neither happened; the next redrive does both."""
    producer = Producer()
    letter_id = bury(database, producer.say(50))
    with ingest(tmp_path, module_database_url, redis_url) as replica:
        with psycopg.connect(module_database_url, options=OPTIONS) as blocker:
            blocker.execute("SELECT FROM dead_letters WHERE id = %s FOR UPDATE", [letter_id])
            asking = threading.Thread(target=redrive_until_cut_off, args=(replica, letter_id))
            asking.start()
            wait_until(lambda: waiting_for_a_lock(database), seconds=WAIT_SECONDS)
            (pid,) = waiting_for_a_lock(database)
            replica.kill()
            asking.join(timeout=WAIT_SECONDS)
        wait_until(lambda: not is_connected(database, pid), seconds=WAIT_SECONDS)
        assert (counted(database, "lines"), counted(database, "dead_letters")) == (0, 1)
        replica.restart()
        wait_until(replica.is_ready, seconds=30)
        assert replica.ask("POST", f"/v1/dead-letters/{letter_id}/redrive").json()["lines"] == 50
        assert [line.id for line in replica.transcript("standup")] == [line.id for line in producer.said]
        assert counted(database, "dead_letters") == 0


def redrive_until_cut_off(replica: Ingest, letter_id: int) -> None:
    with pytest.raises(httpx.TransportError):
        replica.ask("POST", f"/v1/dead-letters/{letter_id}/redrive")


def waiting_for_a_lock(database: Connection) -> list[object]:
    waiting = database.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return [pid for (pid,) in waiting.fetchall()]


def is_connected(database: Connection, pid: object) -> bool:
    return database.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is not None


def test_letters_are_listed_shown_and_redriven_when_asked_on_the_command_line(
    database: Connection, module_database_url: str
) -> None:
    """Over the database alone, with nothing else running; stdout is JSON lines, and 1 says that something stayed."""
    producer = Producer()
    readable, unreadable = bury(database, producer.say(2)), bury(database, b"\xc1", "1-2")
    listed = command(module_database_url, "list")
    assert [json.loads(line)["id"] for line in listed.stdout.splitlines()] == [unreadable, readable]
    assert producer.said[0].text not in listed.stdout
    assert producer.said[0].text in command(module_database_url, "show", str(readable)).stdout
    redriven = command(module_database_url, "redrive", "--all")
    assert redriven.returncode == 1
    assert json.loads(redriven.stdout) == {"redriven": 1, "discarded": 0, "stayed": 1, "lines": 2, "next": None}
    assert command(module_database_url, "discard", str(unreadable)).returncode == 0
    assert command(module_database_url, "redrive", "--all").returncode == 0
    for verb in ("show", "redrive", "discard"):
        gone = command(module_database_url, verb, str(readable))
        assert (gone.returncode, gone.stderr) == (1, "dead-letters: no such dead letter\n")
    assert counted(database, "lines") == 2
    (row,) = database.execute("SELECT actor FROM audit").fetchall()
    assert str(row[0]).startswith("cli:")


@pytest.mark.parametrize(
    "arguments",
    [[], ["redrive"], ["show"], ["show", "x"], ["list", "--limit", "0"], ["list", "--reason", ""], ["conquer"]],
)
def test_command_ends_with_2_when_it_is_called_wrongly(arguments: list[str]) -> None:
    """Usage on stderr, and no database is asked."""
    ended = command("postgresql://127.0.0.1:1/nowhere", *arguments)
    assert ended.returncode == 2
    assert "usage" in ended.stderr


def test_command_ends_with_1_when_the_database_is_away() -> None:
    """In one line, without the password."""
    ended = command("postgresql://u:secret@127.0.0.1:1/nowhere", "list")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "secret" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("dead-letters: PostgreSQL")
