"""Peer: a transcript as one JSONB array in its meeting's row, to which a flush of the agent is appended, or every line by itself."""

from __future__ import annotations

import time

import psycopg
from psycopg.types.json import Jsonb
from tests.bench.servers import Servers


def jsonb_append_rate(servers: Servers, *, lines_before: int, appends: int, lines_an_append: int) -> float:
    """Lines a second that can be appended to a meeting which has so many already, so many at a time, a COMMIT each time."""
    line = {
        "id": "0198f2ab-7c1e-7000-8000-000000000000:12345",
        "speaker": {"identity": "user-1", "name": "Zoë 1", "kind": "human"},
        "text": "and so we would have to look at the numbers again before Friday",
        "startedMs": 1_790_000_000_000,
        "endedMs": 1_790_000_000_800,
        "language": "en",
        "confidence": 0.93,
    }
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS peer_transcripts")
        connection.execute("CREATE TABLE peer_transcripts (meeting_id text PRIMARY KEY, lines jsonb NOT NULL)")
        connection.execute("INSERT INTO peer_transcripts VALUES ('standup', %s)", [Jsonb([line] * lines_before)])
        more = Jsonb([line] * lines_an_append)
        started = time.monotonic()
        for _ in range(appends):
            connection.execute("UPDATE peer_transcripts SET lines = lines || %s WHERE meeting_id = 'standup'", [more])
        seconds = time.monotonic() - started
        row = connection.execute("SELECT jsonb_array_length(lines) FROM peer_transcripts").fetchone()
        assert row == (lines_before + appends * lines_an_append,)
    return appends * lines_an_append / seconds
