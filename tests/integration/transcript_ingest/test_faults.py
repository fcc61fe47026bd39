"""A final line is never lost and never doubled, whatever is killed, stopped or cut under load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, environment, ingest
from tests.integration.transcript_ingest.load import assert_everything_is_stored_once, load
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.postgres import migrate
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_transcript_ingest.consumer import GROUP

KEY = stream_key(0)
TAKEN_OVER_SECONDS = RECLAIM_IDLE_MS / 1000 + 5 + 15
"""Idle time, the interval of looking, and two busy cores."""
ROUND_ENTRIES = 150


def memory_mb(replica: Ingest) -> float:
    """Resident memory of the process."""
    status = Path(f"/proc/{replica.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_everything_is_stored_once_when_replicas_are_killed(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """Two share the load; one is killed and comes back, the other is killed and does not."""
    with ingest(tmp_path, database_url, redis_url) as lasting, ingest(tmp_path, database_url, redis_url) as leaving:
        with load(redis_url) as said:
            said.wait_for(ROUND_ENTRIES)
            lasting.kill()
            lasting.restart()
            said.wait_for(ROUND_ENTRIES)
            leaving.kill()
            said.wait_for(ROUND_ENTRIES)
            said.finish()
            wait_until(lasting.is_ready, seconds=30)
            assert_everything_is_stored_once(lasting, said, seconds=TAKEN_OVER_SECONDS)
        assert lasting.metric("meetai_ingest_entries_lost_total") == 0


def test_everything_is_stored_once_when_postgres_was_away(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_url: str
) -> None:
    """Stopped under load: reading stops and memory stays flat; killed and back once more: it drains by itself."""
    migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    with ingest(tmp_path, postgres_server.url, redis_url) as replica, load(redis_url) as said:
        said.wait_for(ROUND_ENTRIES)
        postgres_server.stop()
        wait_until(lambda: replica.metric("meetai_ingest_postponed_total") >= 1, seconds=15)
        assert not replica.is_ready()
        before_mb = memory_mb(replica)
        said.wait_for(4 * ROUND_ENTRIES)
        assert memory_mb(replica) < before_mb + 20
        postgres_server.start()
        wait_until(replica.is_ready, seconds=15)
        said.wait_for(ROUND_ENTRIES)
        postgres_server.kill()
        postgres_server.start()
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=30)
        assert replica.metric("meetai_ingest_entries_reclaimed_total") == 0


def test_everything_is_stored_once_when_postgres_was_read_only(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """A failover leaves a replica that answers and refuses every write; no line dies of that."""
    with (
        ingest(tmp_path, database_url, redis_url) as replica,
        load(redis_url) as said,
        psycopg.connect(database_url, autocommit=True) as admin,
    ):
        name = admin.info.dbname
        kick = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        said.wait_for(ROUND_ENTRIES)
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
        admin.execute(kick, [name])
        wait_until(lambda: "ReadOnlySqlTransaction" in replica.log(), seconds=15)
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())
        admin.execute(kick, [name])
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=30)
        assert admin.execute("SELECT count(*) FROM transcript_ingest.dead_letters").fetchone() == (0,)


def test_everything_is_stored_once_when_redis_was_killed_and_its_group_dropped(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer
) -> None:
    """The agents retry what they could not send; the service finds its way back by itself, twice."""
    with ingest(tmp_path, database_url, redis_server.url) as replica, load(redis_server.url) as said:
        said.wait_for(ROUND_ENTRIES)
        redis_server.kill()
        wait_until(lambda: not replica.is_ready(), seconds=10)
        redis_server.start()
        said.wait_for(ROUND_ENTRIES)
        with redis.Redis.from_url(redis_server.url) as client:
            client.xgroup_destroy(KEY, GROUP)
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=TAKEN_OVER_SECONDS)
        wait_until(replica.is_ready, seconds=10)


def test_nothing_is_left_pending_when_told_to_stop_under_load(
    tmp_path: Path, database_url: str, stream_client: redis.Redis, redis_url: str
) -> None:
    """SIGTERM ends it with exit code 0 and what it had read stored; the next process goes on from there at once."""
    with ingest(tmp_path, database_url, redis_url) as replica, load(redis_url) as said:
        said.wait_for(ROUND_ENTRIES)
        assert replica.terminate() == 0
        assert stream_client.xpending(KEY, GROUP)["pending"] == 0
        replica.restart()
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        wait_until(replica.is_ready, seconds=30)
        assert_everything_is_stored_once(replica, said, seconds=30)


def test_service_starts_when_everything_is_away(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_server: EmbeddedServer
) -> None:
    """It is alive and not ready, says what is missing, and needs no restart once that is there."""
    postgres_server.stop()
    redis_server.stop()
    with ingest(tmp_path, postgres_server.url, redis_server.url, ready=False) as replica:
        assert not replica.is_ready()
        redis_server.start()
        postgres_server.start()
        with redis.Redis.from_url(redis_server.url) as client:
            producer = Producer()
            for entry in (producer.open(), producer.say(3), producer.close()):
                client.xadd(KEY, {BATCH_FIELD: entry})
        wait_until(lambda: "run migrate" in replica.get("/readyz").text, seconds=20)
        migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
        wait_until(lambda: replica.is_ready() and replica.is_complete(producer.meeting_id), seconds=20)
        assert replica.terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "removed", "changed", "expected"),
    [
        ([], ["DATABASE_URL", "REDIS_URL", "SERVICE_KEYS"], {}, ["DATABASE_URL", "REDIS_URL", "SERVICE_KEYS"]),
        (
            [],
            [],
            {
                "DATABASE_URL": "postgres://h/d",
                "REDIS_URL": "redis://h:port",
                "PORT": "99999",
                "TRANSCRIPT_STREAM_SHARDS": "0",
            },
            ["DATABASE_URL", "REDIS_URL", "PORT", "TRANSCRIPT_STREAM_SHARDS"],
        ),
        (["migrate"], ["DATABASE_URL", "REDIS_URL", "SERVICE_KEYS"], {}, ["DATABASE_URL"]),
        (["conquer"], [], {}, ["usage"]),
    ],
)
def test_process_ends_with_2_when_it_is_called_wrongly(
    arguments: list[str], removed: list[str], changed: dict[str, str], expected: list[str]
) -> None:
    """Every wrong setting is named at once, none of their values, and nothing is started."""
    settings = environment("postgresql://h/d", "redis://h", free_port()) | changed
    for name in removed:
        del settings[name]
    command = [sys.executable, "-m", "meetai_transcript_ingest", *arguments]
    ended = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    complaints = sorted(line.removeprefix("settings: ") for line in ended.stderr.splitlines())
    assert [complaint.partition(":")[0] for complaint in complaints] == sorted(expected)
    assert all(value not in ended.stderr for value in changed.values() if len(value) > 5)
