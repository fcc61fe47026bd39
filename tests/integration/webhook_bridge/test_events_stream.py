"""The second input: what is put on `meetai:events` reaches Inngest once, whatever is killed, restarted or garbled in between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import redis
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.servers.cutting_proxy import Cut, cutting_proxy
from tests.servers.embedded import EmbeddedServer
from tests.unit.webhook_bridge.webhooks import room_finished
from tests.waiting import wait_until

from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM
from meetai_servicekit import postgres
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS
from meetai_webhook_bridge.adapters.postgres import MIGRATIONS, SCHEMA

GROUP = "webhook-bridge"
IN_TIME_SECONDS = 30


def told(number: int, meeting_id: str = "standup", **changed: Any) -> bytes:
    """An event as transcript-ingest's outbox puts it on the stream."""
    return msgspec.json.encode(
        {
            "v": 1,
            "id": f"meetai-transcript.completed-RM_{number}",
            "name": "meetai/transcript.completed",
            "occurredAt": "2026-01-01T12:00:00Z",
            "data": {"meetingId": meeting_id, "roomSid": f"RM_{number}", "lines": number},
            **changed,
        }
    )


def put(server: redis.Redis, *payloads: bytes) -> None:
    for payload in payloads:
        server.xadd(EVENTS_STREAM, {EVENT_FIELD: payload})


def pending(server: redis.Redis) -> list[Any]:
    found: Any = server.xpending_range(EVENTS_STREAM, GROUP, min="-", max="+", count=10_000)
    return list(found)


def let_time_pass(server: redis.Redis) -> None:
    """Make what is pending look as old as a dead consumer's."""
    for entry in pending(server):
        server.xclaim(
            EVENTS_STREAM, GROUP, entry["consumer"], 0, [entry["message_id"]], idle=RECLAIM_IDLE_MS, justid=True
        )


def sent(replica: Bridge) -> int:
    return len(replica.events(state="sent", limit=500))


def test_an_event_arrives_as_it_was_told(
    tmp_path: Path, database_url: str, redis_url: str, inngest: InngestStub
) -> None:
    """Id, name, time and data; told twice, or on two entries, it arrives once; the ledger lists it by meeting."""
    with redis.Redis.from_url(redis_url) as server:
        put(server, told(1))  # before there was anybody to read it
        with bridge(tmp_path, database_url, inngest.url, redis_url=redis_url) as replica:
            put(server, told(1), told(2, "other"))
            wait_until(lambda: sent(replica) == 2, seconds=IN_TIME_SECONDS)
            event = next(event for event in inngest.taken if event["id"].endswith("RM_1"))
            assert (event["id"], event["name"]) == ("meetai-transcript.completed-RM_1", "meetai/transcript.completed")
            assert event["ts"] == 1_767_268_800_000
            assert event["data"] == {"meetingId": "standup", "roomSid": "RM_1", "lines": 1}
            (entry,) = replica.get("/v1/meetings/standup/events").json()["events"]
            assert (entry["id"], entry["source"], entry["roomSid"]) == (event["id"], "stream", "RM_1")
            wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
            assert 'meetai_bridge_stream_entries_total{outcome="duplicate"} 1.0' in replica.get("/metrics").text
    assert Counter(inngest.ids) == {f"meetai-transcript.completed-RM_{number}": 1 for number in (1, 2)}


def test_an_event_arrives_once_when_its_reader_is_killed_between_commit_and_ack(
    tmp_path: Path, database_url: str, redis_url: str, inngest: InngestStub
) -> None:
    """Its acknowledgement never reaches Redis; whoever takes the entry over finds the event stored, and acknowledges it."""
    with redis.Redis.from_url(redis_url) as server, cutting_proxy(redis_url) as (proxy, through_proxy):
        proxy.cut(Cut(b"XACK", "before", times=1_000))
        put(server, *[told(number) for number in range(5)])
        with bridge(tmp_path, database_url, inngest.url, redis_url=through_proxy) as doomed:
            wait_until(lambda: sent(doomed) == 5 and proxy.cuts > 0, seconds=IN_TIME_SECONDS)
            assert len(pending(server)) == 5
            doomed.kill()
        let_time_pass(server)
        with bridge(tmp_path, database_url, inngest.url, redis_url=redis_url) as heir:
            wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
            assert "entries_reclaimed" in heir.log()
            assert sent(heir) == 5
    assert Counter(inngest.ids) == {f"meetai-transcript.completed-RM_{number}": 1 for number in range(5)}


def test_every_event_arrives_once_when_two_replicas_read_and_one_is_killed(
    tmp_path: Path, database_url: str, redis_url: str, inngest: InngestStub
) -> None:
    """They share the stream; what the killed one had is taken over."""
    count = 100
    with (
        redis.Redis.from_url(redis_url) as server,
        bridge(tmp_path, database_url, inngest.url, redis_url=redis_url) as one,
        bridge(tmp_path, database_url, inngest.url, redis_url=redis_url) as other,
    ):
        put(server, *[told(number) for number in range(count // 2)])
        one.kill()
        put(server, *[told(number) for number in range(count // 2, count)])
        let_time_pass(server)
        wait_until(lambda: sent(other) == count, seconds=IN_TIME_SECONDS * 2)
        wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
    assert set(inngest.ids) == {f"meetai-transcript.completed-RM_{number}" for number in range(count)}


def test_garbage_is_listed_as_dead_and_holds_nobody_up(
    tmp_path: Path, database_url: str, redis_url: str, inngest: InngestStub
) -> None:
    """Bytes, a contract of the future, an entry without the field: each with its bytes, and a metric that alarms."""
    garbage = b"\xff\0 not an event"
    with (
        redis.Redis.from_url(redis_url) as server,
        bridge(tmp_path, database_url, inngest.url, redis_url=redis_url) as replica,
    ):
        put(server, told(1), garbage, told(7, v=2), told(2))
        server.xadd(EVENTS_STREAM, {"another field": b"x"})
        put(server, told(3))
        wait_until(lambda: sent(replica) == 3, seconds=IN_TIME_SECONDS)
        wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
        dead = replica.events(state="dead")
        reasons = sorted(entry["data"]["reason"] for entry in dead)
        assert [reason.partition(":")[0] for reason in reasons] == ["body", "the entry has no field e", "v"]
        assert all((entry["name"], entry["source"]) == ("unreadable", "stream") for entry in dead)
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT id, payload FROM webhook_bridge.unreadable_entries").fetchall()
        assert {garbage, told(7, v=2)} < {payload for _, payload in rows}
        assert {event_id for event_id, _ in rows} == {entry["id"] for entry in dead}
        wait_until(
            lambda: 'meetai_bridge_undelivered_events{state="dead"} 3.0' in replica.get("/metrics").text,
            seconds=IN_TIME_SECONDS,
        )
    assert len(inngest.ids) == 3


def test_events_go_on_when_redis_was_away_and_comes_back_without_the_group(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer, inngest: InngestStub
) -> None:
    """Webhooks are taken all the while, and the service stays ready for them; the stream is read from its start again."""
    redis_server.stop()
    with bridge(tmp_path, database_url, inngest.url, redis_url=redis_server.url) as replica:
        assert replica.deliver(room_finished("EV_1", sid="RM_away")).status_code == 200
        redis_server.start()
        with redis.Redis.from_url(redis_server.url) as server:
            put(server, told(1))
            wait_until(lambda: sent(replica) == 2, seconds=IN_TIME_SECONDS)
            redis_server.kill()
            assert replica.deliver(room_finished("EV_2", sid="RM_killed")).status_code == 200
            assert replica.is_ready()
            redis_server.start()
            server.flushall()
            put(server, told(1), told(2))
            wait_until(lambda: sent(replica) == 4, seconds=IN_TIME_SECONDS)
            wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
        assert replica.terminate() == 0
    assert set(Counter(inngest.ids).values()) == {1}


def test_events_are_held_when_postgres_is_away(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_url: str, inngest: InngestStub
) -> None:
    """Nothing is acknowledged before it is stored; then all of it arrives, once."""
    postgres.migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    with (
        redis.Redis.from_url(redis_url) as server,
        bridge(tmp_path, postgres_server.url, inngest.url, redis_url=redis_url) as replica,
    ):
        postgres_server.stop()
        put(server, *[told(number) for number in range(20)])
        wait_until(lambda: 'what="accept entries"' in replica.get("/metrics").text, seconds=IN_TIME_SECONDS)
        assert len(pending(server)) > 0
        postgres_server.start()
        wait_until(replica.is_ready, seconds=IN_TIME_SECONDS)
        wait_until(lambda: sent(replica) == 20, seconds=IN_TIME_SECONDS)
        wait_until(lambda: not pending(server), seconds=IN_TIME_SECONDS)
    assert Counter(inngest.ids) == {f"meetai-transcript.completed-RM_{number}": 1 for number in range(20)}
