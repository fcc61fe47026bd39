"""Servers that are full, replicas that sleep, clocks that jump: everything is stored once, or what is lost is named."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, ingest
from tests.integration.transcript_ingest.load import assert_everything_is_stored_once, load
from tests.servers.embedded import EmbeddedServer
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.postgres import migrate
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_transcript_ingest.consumer import GROUP

KEY = stream_key(0)
ROUND_ENTRIES = 100
TAKEN_AWAY = 5
"""Entries that a consumer which isn't there has been given; one alone may be the retry of another."""
IN_TIME_SECONDS = 30
DAY_SECONDS = 86_400
WRITERS = "application_name = 'transcript-ingest' AND datname = current_database()"


def let_time_pass(server: redis.Redis, consumer: str | None = None) -> None:
    """Make what is pending, or what that consumer has, look as old as a dead consumer's."""
    pending: Any = server.xpending_range(KEY, GROUP, min="-", max="+", count=10_000, consumername=consumer)
    for entry in pending:
        owner, entry_id = entry["consumer"].decode(), entry["message_id"]
        server.xclaim(KEY, GROUP, owner, 0, [entry_id], idle=RECLAIM_IDLE_MS, justid=True)


def consumers(server: redis.Redis) -> dict[str, int]:
    """How many entries each consumer of the group owes."""
    known: Any = server.xinfo_consumers(KEY, GROUP)
    return {consumer["name"].decode(): consumer["pending"] for consumer in known}


def logged(replica: Ingest, event: str) -> list[dict[str, Any]]:
    """A replica's log lines of that name."""
    lines = [msgspec.json.decode(line) for line in replica.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_everything_is_stored_once_when_postgres_was_out_of_connections(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_url: str
) -> None:
    """Others have taken all of them; the service holds what it has, is alive and not ready, and goes on when some are free."""
    migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    with ExitStack() as others, ingest(tmp_path, postgres_server.url, redis_url) as replica, load(redis_url) as said:
        said.wait_for(ROUND_ENTRIES)
        admin = others.enter_context(psycopg.connect(postgres_server.url, autocommit=True))
        ours = "FROM pg_stat_activity WHERE application_name LIKE 'transcript-ingest%'"

        def take_what_is_free() -> bool:
            """Whether the service has none left."""
            try:
                while True:
                    others.enter_context(psycopg.connect(postgres_server.url))
            except psycopg.OperationalError as error:
                if "too many clients" not in str(error):
                    raise
            return admin.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode()).fetchone() is None

        wait_until(take_what_is_free, seconds=IN_TIME_SECONDS)
        enough = replica.metric("meetai_ingest_postponed_total") + 4
        wait_until(
            lambda: take_what_is_free() and replica.metric("meetai_ingest_postponed_total") >= enough,
            seconds=IN_TIME_SECONDS,
        )
        assert replica.is_alive()
        assert not replica.is_ready()
        others.close()
        wait_until(replica.is_ready, seconds=IN_TIME_SECONDS)
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=IN_TIME_SECONDS)
        assert replica.metric("meetai_ingest_entries_reclaimed_total") == 0


def test_everything_is_stored_once_when_redis_is_full(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer
) -> None:
    """Reading and acknowledging need no memory: what is on the stream drains, also by a replica that starts only then."""
    with ExitStack() as opened:
        server = opened.enter_context(redis.Redis.from_url(redis_server.url))
        said = opened.enter_context(load(redis_server.url))
        first = opened.enter_context(ingest(tmp_path, database_url, redis_server.url))
        said.wait_for(ROUND_ENTRIES)
        first.process.send_signal(signal.SIGSTOP)
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        server.config_set("maxmemory", "1")
        with pytest.raises(redis.OutOfMemoryError):
            server.xadd(KEY, {BATCH_FIELD: b"one more"})
        first.kill()
        second = opened.enter_context(ingest(tmp_path, database_url, redis_server.url))
        let_time_pass(server)
        assert_everything_is_stored_once(second, said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: server.xpending(KEY, GROUP)["pending"] == 0, seconds=5)


def test_loss_is_named_and_nothing_of_it_acknowledged_when_the_stream_was_trimmed_under_pending_entries(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer
) -> None:
    """Metric and log say which entries, integrity says which lines; the neighbours are stored."""
    producer = Producer()
    entries = [producer.open(), *[producer.say(5) for _ in range(6)], producer.close()]
    with redis.Redis.from_url(redis_server.url) as server:
        ids: list[Any] = [server.xadd(KEY, {BATCH_FIELD: entry}) for entry in entries]
        server.xgroup_create(KEY, GROUP, id="0")
        server.xreadgroup(GROUP, "killed", {KEY: ">"}, count=7)
        let_time_pass(server)
        server.xtrim(KEY, minid=ids[3].decode(), approximate=False)
        server.config_set("slowlog-max-len", "10000")
        server.config_set("slowlog-log-slower-than", "0")
        with ingest(tmp_path, database_url, redis_server.url) as replica:
            wait_until(lambda: logged(replica, "entries_lost"), seconds=IN_TIME_SECONDS)
            wait_until(lambda: len(replica.page(producer.meeting_id).lines) == 20, seconds=IN_TIME_SECONDS)
            wait_until(lambda: replica.integrity(producer.meeting_id).producers[0].closed, seconds=IN_TIME_SECONDS)
            proof = replica.integrity(producer.meeting_id)
            assert (proof.verdict, proof.producers[0].missing) == ("incomplete", ((1, 10),))
            assert proof.reason == "10 lines missing"
            assert [line["entry_ids"] for line in logged(replica, "entries_lost")] == [
                [raw.decode() for raw in ids[:3]]
            ]
            assert replica.metric("meetai_ingest_entries_lost_total") == 3
            assert [line.id for line in replica.transcript(producer.meeting_id)] == [
                line.id for line in producer.said[10:]
            ]
            wait_until(lambda: not set(ids[3:]) - acknowledged(server), seconds=5)
            assert acknowledged(server) == set(ids[3:])


def acknowledged(server: redis.Redis) -> set[bytes]:
    """All that the group's consumers said were done, by the server's log of commands."""
    log: Any = server.slowlog_get(10_000)
    commands = [command["command"].split() for command in log]
    return {entry_id for command in commands if command[0] == b"XACK" for entry_id in command[3:]}


def put_to_sleep_in_mid_write(replica: Ingest, admin: psycopg.Connection, server: redis.Redis) -> int:
    """Stop it while it waits for a lock that `admin` now holds; returns how many entries it then owes."""
    admin.execute("LOCK TABLE transcript_ingest.meetings IN ACCESS EXCLUSIVE MODE")
    wait_until(lambda: waiting_writers(admin), seconds=IN_TIME_SECONDS)
    replica.process.send_signal(signal.SIGSTOP)
    let_time_pass(server)
    (name,) = [name for name in consumers(server) if f"-{replica.process.pid}-" in name]
    return consumers(server)[name]


def waiting_writers(admin: psycopg.Connection) -> list[int]:
    """Backends that wait for the lock."""
    waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'transcript_ingest.meetings'::regclass"
    return [row[0] for row in admin.execute(waiting)]


def test_late_commit_is_harmless_when_a_replica_wakes_after_its_entries_were_taken_over(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis
) -> None:
    """It slept in the middle of a write, another stored and acknowledged it all, and it goes on as if nothing had been."""
    with ExitStack() as opened:
        admin = opened.enter_context(psycopg.connect(database_url))
        said = opened.enter_context(load(redis_url))
        sleeper = opened.enter_context(ingest(tmp_path, database_url, redis_url))
        said.wait_for(ROUND_ENTRIES)
        owed = put_to_sleep_in_mid_write(sleeper, admin, stream_client)
        for pid in waiting_writers(admin):
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        admin.rollback()
        said.finish()
        let_time_pass(stream_client)
        awake = opened.enter_context(ingest(tmp_path, database_url, redis_url))
        assert_everything_is_stored_once(awake, said, seconds=IN_TIME_SECONDS)
        assert awake.metric("meetai_ingest_entries_reclaimed_total") >= owed > 0
        before = len(logged(sleeper, "batch_committed"))
        sleeper.process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(logged(sleeper, "batch_committed")) > before, seconds=IN_TIME_SECONDS)
        late = logged(sleeper, "batch_committed")[before]
        assert (late["lines"], late["conflicts"]) == (0, 0)
        assert late["duplicates"] > 0
        assert_everything_is_stored_once(sleeper, said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: not any(consumers(stream_client).values()), seconds=5)


def test_everything_is_stored_once_when_two_replicas_write_the_same_entries_at_once(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis
) -> None:
    """Both wait for the same lock with the same entries: one because it slept too long, one because it took them over."""
    with ExitStack() as opened:
        admin = opened.enter_context(psycopg.connect(database_url))
        said = opened.enter_context(load(redis_url))
        sleeper = opened.enter_context(ingest(tmp_path, database_url, redis_url))
        said.wait_for(ROUND_ENTRIES)
        put_to_sleep_in_mid_write(sleeper, admin, stream_client)
        other = opened.enter_context(ingest(tmp_path, database_url, redis_url))
        wait_until(lambda: other.metric("meetai_ingest_entries_reclaimed_total") > 0, seconds=IN_TIME_SECONDS)
        admin.rollback()
        sleeper.process.send_signal(signal.SIGCONT)
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        assert_everything_is_stored_once(other, said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: not any(consumers(stream_client).values()), seconds=IN_TIME_SECONDS)
        newly_stored = sum(replica.metric("meetai_ingest_lines_committed_total") for replica in (sleeper, other))
        assert newly_stored == sum(len(producer.said) for producer in said.producers)


JUMPING_CLOCK = """
import datetime, os, pathlib, sys, threading, time

file, real, now, now_ns = pathlib.Path(os.environ["CLOCK_JUMP_FILE"]), datetime.datetime, time.time, time.time_ns

class Jumped(real):
    def __new__(cls, *parts, **named):
        return real(*parts, **named)

    @classmethod
    def now(cls, tz=None):
        return real.fromtimestamp(time.time(), tz)

def jump():
    while not file.exists():
        threading.Event().wait(0.02)
    by = int(file.name)
    time.time, time.time_ns = lambda: now() + by, lambda: now_ns() + by * 10**9
    for name, module in list(sys.modules.items()):
        if name.startswith("meetai_") and getattr(module, "datetime", None) is real:
            module.datetime = Jumped

threading.Thread(target=jump, daemon=True).start()
"""
"""A wall clock that jumps when a file is there, by the seconds that are its name: in `time`, and wherever our modules ask for the day."""


def test_everything_is_stored_once_when_clocks_jump(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis
) -> None:
    """One replica's jumps a day ahead and one's a day back, and agents' are wrong: claims, waits and partitions don't mind."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING_CLOCK)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    wrong = [Producer(f"{days} days", producer_id=uuid7(now_ms + days * DAY_SECONDS * 1000)) for days in (-1, 1, 400)]
    with ExitStack() as opened:
        said = opened.enter_context(load(redis_url))
        jumps = [tmp_path / str(seconds) for seconds in (DAY_SECONDS, -DAY_SECONDS)]
        replicas = [
            opened.enter_context(
                ingest(
                    tmp_path, database_url, redis_url, extra={"PYTHONPATH": str(tmp_path), "CLOCK_JUMP_FILE": str(jump)}
                )
            )
            for jump in jumps
        ]
        said.wait_for(ROUND_ENTRIES)
        today = datetime.now(UTC).date()
        for jump in jumps:
            jump.touch()
        for replica, days in zip(replicas, (1, -1), strict=True):
            there = (today + timedelta(days=days)).isoformat()
            wait_until(
                lambda: any(line["at"].startswith(there) for line in logged(replica, "batch_committed")),  # noqa: B023  # called at once
                seconds=IN_TIME_SECONDS,
            )
        wait_until(
            lambda: (
                stream_client.xreadgroup(GROUP, "killed", {KEY: ">"})
                and consumers(stream_client)["killed"] >= TAKEN_AWAY
            ),
            seconds=IN_TIME_SECONDS,
        )
        let_time_pass(stream_client, "killed")
        admin = opened.enter_context(psycopg.connect(database_url, autocommit=True))
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WRITERS}".encode())
        for producer in wrong:
            for entry in (producer.open(), producer.say(20), producer.close()):
                stream_client.xadd(KEY, {BATCH_FIELD: entry})
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        said.producers.extend(wrong)
        assert_everything_is_stored_once(replicas[0], said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: not any(consumers(stream_client).values()), seconds=IN_TIME_SECONDS)
        assert sum(replica.metric("meetai_ingest_entries_reclaimed_total") for replica in replicas) >= TAKEN_AWAY
        assert sum(replica.metric("meetai_ingest_entries_lost_total") for replica in replicas) == 0
        in_no_partition = admin.execute("SELECT DISTINCT producer_id FROM transcript_ingest.lines_default").fetchall()
        assert in_no_partition == [(wrong[-1].producer_id,)]
