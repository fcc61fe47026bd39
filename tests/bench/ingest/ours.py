"""Our side of the pairs: the worker as seen by who measures it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import psycopg
import redis
from tests.bench.ingest.meetings import Said, prefill
from tests.bench.ingest.worker import Done, Order
from tests.bench.servers import Servers

from meetai_transcript_ingest.adapters.postgres import SCHEMA

ANSWER_SECONDS = 120
"""The longest measurement takes a few seconds, on a busy machine some tens."""
PIPE_BYTES = 1024 * 1024
FILL = """
INSERT INTO lines (commit_position, producer_started, producer_id, meeting_id, room_sid, seq, speaker_identity,
                   speaker_name, speaker_kind, text, started_ms, ended_ms, language, confidence, interrupted)
SELECT seq, (now() AT TIME ZONE 'UTC')::date, ids.producer_id, 'earlier-' || meeting, 'RM_1', seq, 'user-1', 'Zoë 1', 'human',
       'and so we would have to look at the numbers again before Friday', 1790000000000 + seq * 1000,
       1790000000800 + seq * 1000, 'en', 0.93, false
FROM generate_series(1, greatest(1, %(rows)s::integer / 1000)) AS meeting
CROSS JOIN LATERAL (
    SELECT overlay(md5(meeting::text) PLACING
        lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7' FROM 1)::uuid AS producer_id
) AS ids
CROSS JOIN generate_series(1, least(1000, %(rows)s::integer)) AS seq
"""


class Worker:
    """A replica that consumes when told to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._answer = bytearray()

    def begin(self, order: Order) -> None:
        """Let it start; `finish` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()

    def finish(self) -> Done:
        return msgspec.json.decode(self.answer(), type=Done)

    def answer(self) -> bytes:
        """The next line.

        Raises:
            RuntimeError: it ended, or says nothing for `ANSWER_SECONDS`.
        """
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._answer:
            readable, _, _ = select.select([pipe], [], [], ANSWER_SECONDS)
            block = os.read(pipe, PIPE_BYTES) if readable else b""
            if not block:
                raise RuntimeError(f"the worker says nothing more; exit code {self._process.poll()}")
            self._answer += block
        line, _, rest = bytes(self._answer).partition(b"\n")
        self._answer = bytearray(rest)
        return line


@contextmanager
def worker(servers: Servers) -> Iterator[Worker]:
    """A replica that is up, with everything imported."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.ingest.worker"],
        env={**os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    replica = Worker(process)
    try:
        if replica.answer() != b"ready":
            raise RuntimeError("the worker did not start")
        yield replica
    finally:
        process.kill()
        process.communicate(timeout=10)


class Database:
    """The tables, for who empties them and counts what is in them."""

    def __init__(self, servers: Servers) -> None:
        self.connection = psycopg.connect(servers.database_url, autocommit=True, options=f"-c search_path={SCHEMA}")

    def empty(self) -> None:
        """No line, and no write of an earlier measurement still to be flushed by a checkpoint within the next."""
        self.connection.execute("TRUNCATE lines, producers, meetings, dead_letters, search_due, search_lines")
        self.connection.execute("CHECKPOINT")

    def fill(self, rows: int) -> None:
        """Rows of today's partition, as 1,000-line meetings of earlier today left them."""
        self.connection.execute(FILL, {"rows": rows})
        self.connection.execute("VACUUM (ANALYZE) lines")
        self.connection.execute("CHECKPOINT")

    def lines(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM lines").fetchone()
        assert row is not None
        return int(row[0])


class OurSide:
    """Measures our own write path."""

    def __init__(self, servers: Servers, replica: Worker, database: Database) -> None:
        self.replica = replica
        self.database = database
        self.client = redis.Redis.from_url(servers.redis_url)

    def drain_rate(self, said: Said, *, shards: int) -> float:
        """Lines a second from a prefilled stream into tables that are left as they are.

        Raises:
            AssertionError: not exactly what was said is stored.
        """
        before = self.database.lines()
        prefill(self.client, said, shards=shards)
        self.replica.begin(Order(shards, len(said.entries)))
        done = self.replica.finish()
        assert self.database.lines() - before == said.lines
        return said.lines / (done.finished - done.started)
