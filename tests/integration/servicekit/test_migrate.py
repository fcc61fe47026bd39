"""Migrations: once each, by however many processes at once, and after any of them was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.waiting import wait_until

from meetai_servicekit import postgres
from meetai_servicekit.health import NotReadyError

SCHEMA = "tested"
PATIENCE_SECONDS = 30
RUN = """
import sys
from pathlib import Path
from meetai_servicekit.postgres import migrate
print(migrate(sys.argv[1], schema=sys.argv[2], migrations=Path(sys.argv[3])))
"""


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Two migrations; each would fail the second time."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001-things.sql").write_text("CREATE TABLE things (id int PRIMARY KEY);\n")
    (folder / "0002-one-thing.sql").write_text("-- depends: 0001-things\nINSERT INTO things VALUES (1);\n")
    return folder


def start(url: str, migrations: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, url, SCHEMA, str(migrations)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_each_is_applied_once_when_run_twice(postgres_url: str, migrations: Path) -> None:
    """The second run has nothing to do; everything is in the service's own schema."""
    assert postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations) == 2
    assert postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations) == 0
    assert value(postgres_url, "SELECT count(*) FROM tested.things") == 1
    assert value(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_each_is_applied_once_when_several_processes_start_together(postgres_url: str, migrations: Path) -> None:
    """A deployment's replicas all migrate at start: one does it, the others wait and find it done."""
    processes = [start(postgres_url, migrations) for _ in range(5)]
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 5, outcomes
    applied = sorted(int(out.splitlines()[-1]) for out, _ in outcomes)
    assert applied == [0, 0, 0, 0, 2]


def test_migration_goes_on_when_a_process_was_killed_in_it(postgres_url: str, migrations: Path) -> None:
    """It leaves yoyo's lock row behind, which its own waiters would respect for ever; nothing half-done remains."""
    slow = migrations / "0002-one-thing.sql"
    quick = slow.read_text()
    slow.write_text(f"{quick}SELECT pg_sleep(1.5);\n")
    process = start(postgres_url, migrations)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    wait_until(lambda: bool(value(postgres_url, asleep)), seconds=PATIENCE_SECONDS)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert value(postgres_url, "SELECT count(*) FROM tested.yoyo_lock") == 1
    slow.write_text(quick)
    assert postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations) == 1
    assert value(postgres_url, "SELECT count(*) FROM tested.things") == 1


def test_nothing_of_a_migration_remains_when_it_fails(postgres_url: str, migrations: Path) -> None:
    """Those before it stay; after it is mended, it is applied."""
    bad = migrations / "0002-one-thing.sql"
    good = bad.read_text()
    bad.write_text(f"{good}INSERT INTO things VALUES (2);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(psycopg.errors.UndefinedTable):
        postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations)
    assert value(postgres_url, "SELECT count(*) FROM tested.things") == 0
    bad.write_text(good)
    assert postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations) == 1


def test_schemas_are_apart_when_two_services_share_a_database(postgres_url: str, migrations: Path) -> None:
    """The same names in each."""
    assert postgres.migrate(postgres_url, schema="one", migrations=migrations) == 2
    assert postgres.migrate(postgres_url, schema="two", migrations=migrations) == 2


async def test_readiness_names_the_migration_when_it_is_missing(postgres_url: str, migrations: Path) -> None:
    """Before any, after some, and after all; a newer schema is no obstacle to an older service."""
    expected = postgres.expected_migrations(migrations)
    pool = postgres.create_pool(postgres_url, schema=SCHEMA, min_size=1, max_size=1, application="tested")
    async with pool:
        with pytest.raises(NotReadyError, match="0001-things is missing; run migrate"):
            await postgres.check_schema(pool, expected)
        postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations)
        await postgres.check_schema(pool, expected)
        with pytest.raises(NotReadyError, match="0003-more"):
            await postgres.check_schema(pool, expected | {"0003-more"})
        await postgres.check_schema(pool, frozenset({"0001-things"}))


async def test_queries_run_as_written_when_loaded_by_name(postgres_url: str, migrations: Path, tmp_path: Path) -> None:
    """Parameters by name; a cast is not one."""
    file = tmp_path / "queries.sql"
    file.write_text("-- name: get_thing(id)^\nSELECT id::text, ':id' FROM things WHERE id = :id::int;\n")
    queries = postgres.load_queries(file)
    assert set(queries) == {"get_thing"}
    postgres.migrate(postgres_url, schema=SCHEMA, migrations=migrations)
    pool = postgres.create_pool(postgres_url, schema=SCHEMA, min_size=1, max_size=1, application="tested")
    async with pool, pool.connection() as connection:
        cursor = await connection.execute(queries["get_thing"], {"id": 1})
        assert await cursor.fetchone() == ("1", ":id")
