"""Searching over HTTP, beside a plain SELECT on a tsvector column with a GIN index, which is what our index would be without us."""

from __future__ import annotations

import time

import httpx
import psycopg
from tests.bench.servers import Servers
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest

from meetai_transcript_ingest.adapters.postgres import SCHEMA

WORDS = "friday numbers"
"""Both are in every seventh line or so."""
HITS = 50
PEER = """
CREATE TABLE peer_words AS SELECT producer_id, seq, started_ms, meeting_id, text, to_tsvector('english', text) AS words FROM lines;
CREATE INDEX ON peer_words USING gin (words);
ANALYZE peer_words
"""
SELECT = """
SELECT producer_id, seq, started_ms, meeting_id, text FROM peer_words
WHERE words @@ websearch_to_tsquery('english', %s) ORDER BY started_ms DESC, producer_id DESC, seq DESC LIMIT %s
"""


class Searchers:
    """Searches what is stored now both ways; each method returns milliseconds."""

    def __init__(self, servers: Servers, replica: Ingest) -> None:
        self._http = httpx.Client(base_url=replica.url, headers={"Authorization": f"Bearer {READER_KEY}"}, timeout=60)
        self._connection = psycopg.connect(servers.database_url, autocommit=True, options=f"-c search_path={SCHEMA}")
        self._connection.execute("DROP TABLE IF EXISTS peer_words")
        for statement in PEER.split(";"):
            self._connection.execute(statement.encode())
        while self._connection.execute("SELECT index_due_lines(1000)").fetchone() != (0,) or self._is_behind():
            pass  # the replica indexes as well, at its own pace

    def search_ms(self) -> float:
        started = time.monotonic()
        page = self._http.get("/v1/search", params={"q": WORDS, "limit": HITS})
        took_ms = (time.monotonic() - started) * 1000
        assert page.raise_for_status().json()["hits"]
        return took_ms

    def select_ms(self) -> float:
        started = time.monotonic()
        rows = self._connection.execute(SELECT, [WORDS, HITS]).fetchall()
        took_ms = (time.monotonic() - started) * 1000
        assert rows
        return took_ms

    def _is_behind(self) -> bool:
        return self._connection.execute("SELECT EXISTS (SELECT FROM search_due)").fetchone() == (True,)
