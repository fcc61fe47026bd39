"""Peer: a transcript as one JSONB array in its meeting's row, to which a flush of the agent is appended, or every line by itself."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb
from tests.bench.ingest.meetings import say
from tests.bench.servers import Servers

from meetai_contracts.transcript import decode_batch


def jsonb_append_rate(servers: Servers, *, lines_before: int, appends: int, lines_an_append: int) -> float:
    """Lines a second that can be appended to a meeting which has so many already, so many at a time, a COMMIT each time.

    The lines are those that we store, each another: PostgreSQL would compress a line that is repeated to almost nothing.
    """
    spoken = _objects(lines_before + appends * lines_an_append)
    more = [Jsonb(spoken[at : at + lines_an_append]) for at in range(lines_before, len(spoken), lines_an_append)]
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS peer_transcripts")
        connection.execute("CREATE TABLE peer_transcripts (meeting_id text PRIMARY KEY, lines jsonb NOT NULL)")
        connection.execute("INSERT INTO peer_transcripts VALUES ('standup', %s)", [Jsonb(spoken[:lines_before])])
        started = time.monotonic()
        for flush in more:
            connection.execute("UPDATE peer_transcripts SET lines = lines || %s WHERE meeting_id = 'standup'", [flush])
        seconds = time.monotonic() - started
        row = connection.execute("SELECT jsonb_array_length(lines) FROM peer_transcripts").fetchone()
        assert row == (len(spoken),)
    return appends * lines_an_append / seconds


def _objects(count: int) -> list[Any]:
    """What is said in one meeting, a JSON object a line, as an application would keep it."""
    entries = say(count, meetings=1).entries
    lines = [line for _, entry in entries for line in decode_batch(entry).lines][:count]
    return [
        {
            "id": f"{line.producer_id}:{line.seq}",
            "speaker": msgspec.structs.asdict(line.speaker),
            "text": line.text,
            "startedMs": line.started_ms,
            "endedMs": line.ended_ms,
            "language": line.language,
            "confidence": line.confidence,
        }
        for line in lines
    ]
