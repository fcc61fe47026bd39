"""An upgrade while meetings go on.

Replicas of an earlier release and of today's serve together, over the tables as they are after today's migrations, and after a
rollback the earlier ones go on alone. The earlier release is its own wheels.
"""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from tests.integration.releases import sayer
from tests.integration.transcript_ingest.ingest_process import ADMIN_KEY, Ingest, ingest
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.releases import Release, Unpacked, releases
from tests.unit.webhook_bridge.webhooks import room_finished
from tests.waiting import wait_until

from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM
from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters import postgres as ingest_tables
from meetai_webhook_bridge.adapters import postgres as bridge_tables

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
SAYER = str(Path(sayer.__file__))
LINES = 7
ROUNDS = 20
"""Meetings of each release, at most, until both replicas have stored some: entries go to whichever asks first."""
IN_TIME_SECONDS = 60

RELEASES = pytest.mark.parametrize("release", releases(), ids=lambda release: release.version)


def said_today(*arguments: str) -> str:
    """What `sayer.py` prints with today's packages."""
    return subprocess.run([sys.executable, SAYER, *arguments], check=True, capture_output=True, text=True).stdout


def said_then(earlier: Unpacked, *arguments: str) -> str:
    return earlier.run(SAYER, *arguments).decode()


def put(server: redis.Redis, batches: str) -> None:
    for batch in batches.splitlines():
        server.xadd(stream_key(0), {BATCH_FIELD: bytes.fromhex(batch)})


def texts(replica: Ingest, meeting: str) -> list[str]:
    return [line.text for line in replica.transcript(meeting)]


ALL_LINES = [f"line {seq}" for seq in range(1, LINES + 1)]


@RELEASES
def test_transcripts_are_whole_when_two_versions_store_them(
    release: Release, tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    """Entries, rows and answers of both versions, read by both; nothing becomes a dead letter."""
    earlier = release.unpack(tmp_path / release.version)
    earlier.run("-m", "meetai_transcript_ingest", "migrate", DATABASE_URL=postgres_url)
    with (
        redis.Redis.from_url(redis_url) as server,
        ingest(tmp_path, postgres_url, redis_url, extra=earlier.environment) as before,
    ):

        def stored(meeting: str, *replicas: Ingest) -> None:
            for replica in replicas:
                wait_until(functools.partial(replica.is_complete, meeting), seconds=IN_TIME_SECONDS)
                assert texts(replica, meeting) == ALL_LINES

        put(server, said_then(earlier, "entries", "before", str(LINES)))
        stored("before", before)
        migrate(postgres_url, schema=ingest_tables.SCHEMA, migrations=ingest_tables.MIGRATIONS)
        put(server, said_then(earlier, "entries", "migrated", str(LINES)))
        stored("migrated", before)
        with ingest(tmp_path, postgres_url, redis_url) as today:
            stored("before", today)
            put(server, said_today("entries", "today", str(LINES)))
            stored("today", before, today)
            _until_both_have(
                lambda number: put(server, said_then(earlier, "entries", f"then {number}", str(LINES))),
                lambda: [replica.metric("meetai_ingest_lines_committed_total") for replica in (before, today)],
            )
            for meeting in ("migrated", "today", "then 0"):
                stored(meeting, before, today)
            assert _dead_letters(today) == _dead_letters(before) == []
            assert today.ask("DELETE", "/v1/meetings/then%200").status_code < 300
            assert before.get("/v1/meetings/then%200/transcript").status_code == 410
        put(server, said_today("entries", "rolled back", str(LINES)))
        stored("rolled back", before)
        assert _dead_letters(before) == []


def _dead_letters(replica: Ingest) -> list[object]:
    found: list[object] = replica.get("/v1/dead-letters", ADMIN_KEY).raise_for_status().json()["deadLetters"]
    return found


def _until_both_have(give: Callable[[int], None], counts: Callable[[], list[float]]) -> None:
    """Give more work until each of two replicas has done some of it: which one takes an entry is chance."""
    at_first, rounds = counts(), itertools.count()

    def have() -> bool:
        if (number := next(rounds)) < ROUNDS:
            give(number)
        return all(now > then for now, then in zip(counts(), at_first, strict=True))

    wait_until(have, seconds=IN_TIME_SECONDS)


def _has_sent(replica: Bridge, told: list[str]) -> bool:
    return {each["id"] for each in replica.events(state="sent", limit=500)} == set(told)


def _completion(release: Release) -> bytes:
    """An entry of the events stream, of that release's parts."""
    envelope = json.loads((release.golden / "domain-event.json").read_bytes())
    data = json.loads((release.golden / "event-transcript-completed.json").read_bytes())
    name, sid = "meetai/transcript.completed", "RM_9"
    told = {**envelope, "id": f"meetai-transcript.completed-{sid}", "name": name, "data": {**data, "roomSid": sid}}
    return json.dumps(told).encode()


@RELEASES
def test_meetings_end_once_when_two_versions_tell_it(
    release: Release, tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    """Webhooks taken by either, entries of the events stream, one ledger; each event reaches Inngest once."""
    earlier = release.unpack(tmp_path / release.version)
    earlier.run("-m", "meetai_webhook_bridge", "migrate", DATABASE_URL=postgres_url)
    inngest = InngestStub()
    inngest.start()
    told: list[str] = []

    def end(replica: Bridge, number: int) -> None:
        sid = f"RM_{number}"
        assert replica.deliver(room_finished(f"EV_{number}", sid=sid, name=f"meeting {number}")).status_code == 200
        told.append(f"livekit-room_finished-{sid}")

    def all_told(*replicas: Bridge) -> None:
        for replica in replicas:
            wait_until(functools.partial(_has_sent, replica, told), seconds=IN_TIME_SECONDS)
        assert Counter(inngest.ids) == Counter(told)

    try:
        with (
            redis.Redis.from_url(redis_url) as server,
            bridge(tmp_path, postgres_url, inngest.url, redis_url=redis_url, extra=earlier.environment) as before,
        ):
            end(before, 1)
            all_told(before)
            migrate(postgres_url, schema=bridge_tables.SCHEMA, migrations=bridge_tables.MIGRATIONS)
            end(before, 2)
            with bridge(tmp_path, postgres_url, inngest.url, redis_url=redis_url) as today:
                for number, replica in enumerate([before, today, before, today], 3):
                    end(replica, number)
                assert before.deliver(room_finished("EV_4", sid="RM_4", name="meeting 4")).status_code == 200
                server.xadd(EVENTS_STREAM, {EVENT_FIELD: _completion(release)})
                told.append("meetai-transcript.completed-RM_9")
                all_told(before, today)
            end(before, 7)
            all_told(before)
    finally:
        inngest.stop()


@RELEASES
def test_spool_is_read_when_another_version_wrote_it(release: Release, tmp_path: Path) -> None:
    """A worker that was upgraded, or rolled back, replays the spools of jobs that died under the other version."""
    earlier = release.unpack(tmp_path / release.version)
    then, today = tmp_path / "then", tmp_path / "today"
    said_then(earlier, "spool", str(then), str(LINES))
    said_today("spool", str(today), str(LINES))
    expected = "".join(f"{seq} line {seq}\n" for seq in range(1, LINES + 1))
    assert said_today("unspool", str(then)) == expected
    assert said_then(earlier, "unspool", str(today)) == expected
