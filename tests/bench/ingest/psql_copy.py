"""Peer: psql's copy from a file of the same rows into the same table, over one connection or several at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from psycopg import sql
from tests.bench.ingest.meetings import meetings_by_shard
from tests.bench.ingest.ours import Database
from tests.bench.servers import PSQL, Servers

from meetai_transcript_ingest.adapters.postgres import QUERIES, SCHEMA

COLUMNS = QUERIES["copy_lines"].partition("(")[2].partition(")")[0]
"""As the service writes them."""
SELECT = sql.SQL("COPY (SELECT {} FROM lines WHERE meeting_id = ANY({}) ORDER BY tableoid, ctid) TO STDOUT")


class PsqlCopy:
    """Files of rows, and how fast psql puts them back."""

    def __init__(self, servers: Servers, database: Database, folder: Path) -> None:
        self._servers = servers
        self._database = database
        self._folder = folder

    def save_rows(self, meetings: Sequence[str], *, connections: int) -> list[Path]:
        """What is stored now, in the order in which it was written: a file a connection, divided as shards divide it."""
        files = []
        for number, ids in enumerate(meetings_by_shard(meetings, connections)):
            file = self._folder / f"rows-{connections}-{number}.copy"
            query = SELECT.format(sql.SQL(COLUMNS), sql.Literal(ids))
            with self._database.connection.cursor() as cursor, cursor.copy(query) as copy:
                file.write_bytes(b"".join(copy))
            files.append(file)
        return files

    def rate(self, files: Sequence[Path], lines: int) -> float:
        """Lines a second, from telling sessions that are open until the last has committed."""
        before = self._database.lines()
        sessions = [self._session() for _ in files]
        started = time.monotonic()
        for session, file in zip(sessions, files, strict=True):
            _tell(session, f"\\copy lines ({' '.join(COLUMNS.split())}) from '{file}'\n")
        for session in sessions:
            assert session.stdout is not None
            assert session.stdout.readline().startswith("COPY")
        seconds = time.monotonic() - started
        for session in sessions:
            session.communicate(timeout=10)
        assert self._database.lines() - before == lines
        return lines / seconds

    def _session(self) -> subprocess.Popen[str]:
        session = subprocess.Popen(
            [PSQL, "--no-psqlrc", self._servers.database_url],
            env={"PGOPTIONS": f"-c search_path={SCHEMA}", "PGCLIENTENCODING": "UTF8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _tell(session, "\\echo ready\n")
        assert session.stdout is not None
        assert session.stdout.readline() == "ready\n"
        return session


def _tell(session: subprocess.Popen[str], line: str) -> None:
    assert session.stdin is not None
    session.stdin.write(line)
    session.stdin.flush()
