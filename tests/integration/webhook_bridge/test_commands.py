"""The commands, as an operator runs them."""

from __future__ import annotations

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
    assert (done.returncode, done.stderr) == (2, "usage: python -m meetai_webhook_bridge [migrate]\n")


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
