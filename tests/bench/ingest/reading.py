"""Reading over HTTP from the running service, beside a plain SELECT streamed by psycopg."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from tests.bench.servers import Servers
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest, ingest

from meetai_transcript_ingest.adapters.postgres import SCHEMA

PAGE_LINES = 100
SELECT = (
    "SELECT producer_id, seq, speaker_identity, speaker_name, speaker_kind, text, started_ms, ended_ms, committed_at, language,"
    " confidence, interrupted FROM lines WHERE meeting_id = %s ORDER BY started_ms, producer_id, seq"
)


class Readers:
    """Reads one meeting both ways; each method returns milliseconds."""

    def __init__(self, servers: Servers, replica: Ingest, meeting_id: str, lines: int) -> None:
        self._meeting_id = meeting_id
        self._lines = lines
        self._http = httpx.Client(base_url=replica.url, headers={"Authorization": f"Bearer {READER_KEY}"}, timeout=60)
        self._connection = psycopg.connect(servers.database_url, options=f"-c search_path={SCHEMA}")

    def first_page_ms(self) -> float:
        started = time.monotonic()
        page = self._http.get(f"/v1/meetings/{self._meeting_id}/transcript", params={"limit": PAGE_LINES})
        took_ms = (time.monotonic() - started) * 1000
        assert len(page.raise_for_status().json()["lines"]) == min(PAGE_LINES, self._lines)
        return took_ms

    def select_page_ms(self) -> float:
        started = time.monotonic()
        with self._connection.cursor() as cursor:
            rows = cursor.execute(f"{SELECT} LIMIT {PAGE_LINES}", [self._meeting_id]).fetchall()
        took_ms = (time.monotonic() - started) * 1000
        self._connection.rollback()
        assert len(rows) == min(PAGE_LINES, self._lines)
        return took_ms

    def export_ms(self, suffix: str) -> float:
        """The whole meeting as a file, read to its end."""
        started = time.monotonic()
        size = 0
        with self._http.stream("GET", f"/v1/meetings/{self._meeting_id}/transcript.{suffix}") as response:
            response.raise_for_status()
            for block in response.iter_raw():
                size += len(block)
        took_ms = (time.monotonic() - started) * 1000
        assert size > self._lines
        return took_ms

    def select_all_ms(self) -> float:
        """The same lines through a cursor on the server, as rows that nothing is made of."""
        started = time.monotonic()
        with self._connection.cursor(name="everything") as cursor:
            cursor.itersize = 1000
            count = sum(1 for _ in cursor.execute(SELECT, [self._meeting_id]))
        took_ms = (time.monotonic() - started) * 1000
        self._connection.rollback()
        assert count == self._lines
        return took_ms


@contextmanager
def replica_for_reading(folder: Path, servers: Servers) -> Iterator[Ingest]:
    """The service itself, as a backend asks it."""
    with (
        tempfile.TemporaryDirectory(dir=folder) as logs,
        ingest(Path(logs), servers.database_url, servers.redis_url) as replica,
    ):
        yield replica
