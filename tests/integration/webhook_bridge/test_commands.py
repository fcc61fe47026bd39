"""The commands, as an operator runs them."""

from __future__ import annotations

import json
import subprocess
import sys

import psycopg
from tests.integration.webhook_bridge.bridge_process import environment

COMMAND = [sys.executable, "-m", "meetai_webhook_bridge"]


def run(arguments: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_every_missing_setting_is_named_when_there_is_no_environment() -> None:
    """Exit 2, before anything is started."""
    done = run([], {})
    assert done.returncode == 2
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "SERVICE_KEYS",
        "INNGEST_EVENT_KEY",
    ):
        assert f"settings: {name}: " in done.stderr


def test_the_usage_is_shown_when_a_command_is_unknown() -> None:
    """Exit 2."""
    done = run(["replay"], environment("postgresql://nowhere/nothing", "1", 0))
    assert (done.returncode, done.stderr) == (2, "usage: python -m meetai_webhook_bridge [migrate | events …]\n")


def test_migrate_makes_the_schema_and_can_be_repeated(postgres_url: str) -> None:
    """With the database's address alone: it needs no key of anybody's."""
    for _ in range(2):
        assert run(["migrate"], {"DATABASE_URL": postgres_url}).returncode == 0
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'webhook_bridge'"
        )
        assert {"inbox", "outbox"} <= {name for (name,) in rows}


def test_migrate_fails_in_words_when_the_database_is_away() -> None:
    """Exit 1, so that a Job is tried again; the password isn't shown."""
    done = run(["migrate"], {"DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/nothing"})
    assert done.returncode == 1
    assert "migrate: OperationalError" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_who_replayed_what_is_in_the_log_when_it_is_done_on_the_command_line(postgres_url: str) -> None:
    """One by its id, and how many of a time; on stderr, so that stdout is for `jq`."""
    environ = {"DATABASE_URL": postgres_url, "LOGNAME": "maya"}
    assert run(["migrate"], environ).returncode == 0
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO webhook_bridge.outbox (id, name, source, meeting_id, occurred_at, data, state) "
            "VALUES ('one', 'livekit/room_finished', 'webhook', 'standup', now(), '{}', 'dead')"
        )
    for asked, told in (
        (["one"], {"event": "event_replayed", "event_id": "one"}),
        (["--from", "2026-01-01"], {"event": "events_replayed", "events": 0}),
    ):
        done = run(["events", "replay", *asked], environ)
        (answer,), (line,) = done.stdout.splitlines(), done.stderr.splitlines()
        assert "event" not in json.loads(answer)
        assert {"actor": "cli:maya", **told}.items() <= json.loads(line).items()


def test_the_ledger_is_asked_on_the_command_line(postgres_url: str) -> None:
    """JSON lines, with the database's address alone; exit 1 when there is no such event, 2 when called wrongly."""
    environ = {"DATABASE_URL": postgres_url}
    assert run(["migrate"], environ).returncode == 0
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO webhook_bridge.outbox (id, name, source, meeting_id, occurred_at, data, state) "
            "VALUES ('one', 'livekit/room_finished', 'webhook', 'standup', now(), '{}', 'dead')"
        )
    listed = run(["events", "list", "--state", "dead", "--meeting", "standup"], environ)
    assert (listed.returncode, json.loads(listed.stdout)["id"]) == (0, "one")
    replayed = run(["events", "replay", "--from", "2026-01-01", "--state", "dead"], environ)
    assert (replayed.returncode, json.loads(replayed.stdout)) == (0, {"replayed": 1, "next": None})
    assert run(["events", "replay", "nothing"], environ).returncode == 1
    unsound = run(["events", "replay", "one\ntwo"], environ)
    assert (unsound.returncode, "argument ID" in unsound.stderr) == (2, True)
    assert run(["events", "replay"], environ).returncode == 2
    assert json.loads(run(["events", "life", "standup"], environ).stdout) == {"meetingId": "standup", "rooms": []}
