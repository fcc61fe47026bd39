"""Erasure as its caller sees it: over HTTP, while the meeting is followed, and through a kill."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest, ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key

WAIT_SECONDS = 15
WAITING = b"SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_who_follows_is_told_and_let_go_when_the_meeting_is_erased(
    replica: Ingest, stream_client: redis.Redis
) -> None:
    """By an event, at once; whoever connects again is answered 410."""
    producer = Producer("followed-and-erased", room_sid="RM_followed")
    path = f"/v1/meetings/{producer.meeting_id}"
    for entry in (producer.open(), producer.say(2)):
        stream_client.xadd(stream_key(0), {BATCH_FIELD: entry})
    headers = {"Authorization": f"Bearer {READER_KEY}"}
    async with (
        httpx.AsyncClient(base_url=replica.url, headers=headers, timeout=30) as client,
        client.stream("GET", f"{path}/stream") as response,
    ):
        seen: list[str] = []
        async for line in response.aiter_lines():
            if line.startswith("event:"):
                seen.append(line)
            if len(seen) == 2 and line.startswith("event:"):
                assert (await asyncio.to_thread(replica.ask, "DELETE", path)).status_code == 204
        assert seen == ["event: line", "event: line", "event: erased"]
        again = await client.get(f"{path}/stream")
    assert (again.status_code, again.json()["detail"]) == (410, "This meeting was erased on request.")


def test_meeting_is_erased_over_http_when_the_key_may(replica: Ingest, module_database_url: str) -> None:
    """403 without the scope; 204 also for a meeting that nobody has heard of, and again; then 410 for its readers."""
    path = "/v1/meetings/q3%2Fnever%20heard%20of"
    assert replica.ask("DELETE", path, key=READER_KEY).status_code == 403
    assert replica.ask("DELETE", path, key=None).status_code == 401
    for _ in range(2):
        assert replica.ask("DELETE", path).status_code == 204
    gone = replica.get(f"{path}/transcript")
    assert (gone.status_code, gone.json()["detail"]) == (410, "This meeting was erased on request.")
    assert replica.get(f"{path}/integrity").json()["verdict"] == "unproven"
    assert replica.metric("meetai_ingest_meetings_erased_total") >= 2
    with psycopg.connect(module_database_url) as connection:
        actors = connection.execute(
            "SELECT actor FROM transcript_ingest.audit WHERE meeting_id = 'q3/never heard of'"
        ).fetchall()
        assert actors == [("admin",)] * 4


def test_erasure_is_finished_when_the_service_was_killed_in_the_middle_of_it(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Unreadable from the first commit on, also with the rest of it still there; the next process goes on by itself."""
    producer = Producer()
    producer.say(1)
    with (
        psycopg.connect(database_url, autocommit=True, options="-c search_path=transcript_ingest") as database,
        ingest(tmp_path, database_url, redis_url) as replica,
    ):
        _store_many(database, producer, 9_000)
        assert len(replica.page("standup").lines) > 0
        with psycopg.connect(database_url, options="-c search_path=transcript_ingest") as blocker:
            blocker.execute("SELECT FROM lines WHERE seq = 5000 FOR UPDATE")  # in the third part of 2,000
            asking = threading.Thread(target=_erase_until_cut_off, args=(replica,))
            asking.start()
            wait_until(lambda: database.execute(WAITING).fetchall(), seconds=WAIT_SECONDS)
            wait_until(lambda: _left(database) == 5_000, seconds=WAIT_SECONDS)
            assert replica.get("/v1/meetings/standup/transcript").status_code == 410
            replica.kill()
            asking.join(timeout=WAIT_SECONDS)
        replica.restart()
        wait_until(replica.is_ready, seconds=30)
        assert replica.get("/v1/meetings/standup/transcript").status_code == 410
        wait_until(lambda: _left(database) == 0, seconds=WAIT_SECONDS)
        wait_until(lambda: len(_finished(database)) == 1, seconds=WAIT_SECONDS)
        assert _finished(database) == [({"lines": 9_000, "deadLetters": 0},)]
        (known,) = replica.integrity("standup").producers
        assert (known.stored, known.erased, known.missing) == (0, 9_000, ())


def _store_many(database: psycopg.Connection[tuple[object, ...]], producer: Producer, count: int) -> None:
    database.execute(
        "INSERT INTO producers (producer_id, producer_started, meeting_id, room_sid, declared)"
        " VALUES (%s, current_date, 'standup', 'RM', %s)",
        [producer.producer_id, count],
    )
    database.execute(
        "INSERT INTO lines (producer_id, seq, started_ms, ended_ms, producer_started, interrupted, speaker_kind, meeting_id,"
        " room_sid, speaker_identity, speaker_name, text, commit_position) SELECT %s, n, n, n, current_date, false, 'human',"
        " 'standup', 'RM', 'u', 'U', 'text', n FROM generate_series(1, %s) AS n",
        [producer.producer_id, count],
    )


def _left(database: psycopg.Connection[tuple[object, ...]]) -> int:
    row = database.execute("SELECT count(*)::int FROM lines").fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def _finished(database: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return database.execute("SELECT counts FROM audit WHERE action = 'erasure_finished'").fetchall()


def _erase_until_cut_off(replica: Ingest) -> None:
    with pytest.raises(httpx.TransportError):
        replica.ask("DELETE", "/v1/meetings/standup")
