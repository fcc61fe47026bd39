"""Search while what it stands on is killed or away."""

from __future__ import annotations

from pathlib import Path

import redis
from tests.integration.transcript_ingest.asking import FOUND_SECONDS, hits, say, search
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.servers.embedded import EmbeddedServer
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA


def test_everything_is_found_once_when_replicas_are_killed(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis
) -> None:
    """`kill -9` while lines are stored and indexed: the next one goes on where the index is."""
    producers = [Producer(f"meeting {number}") for number in range(4)]
    with ingest(tmp_path, database_url, redis_url) as replica:
        for turn in range(4):
            for producer in producers:
                for _ in range(25):
                    say(stream_client, producer, *[f"needle {turn}"] * 10)
            wait_until(lambda: search(replica, "needle").hits, seconds=FOUND_SECONDS)
            replica.kill()
            replica.restart()
            wait_until(replica.is_ready, seconds=30)
        said = sorted(line.id for producer in producers for line in producer.said)
        wait_until(lambda: sorted(hit.id for hit in hits(replica, "needle", limit=100)) == said, seconds=60)


def test_search_comes_back_when_postgres_does(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_url: str, stream_client: redis.Redis
) -> None:
    """503 with Retry-After while it is away, and what was said meanwhile is found afterwards."""
    migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    with ingest(tmp_path, postgres_server.url, redis_url) as replica:
        producer = Producer("outage")
        say(stream_client, producer, "needle before")
        wait_until(lambda: search(replica, "needle").hits, seconds=FOUND_SECONDS)
        postgres_server.stop()
        response = replica.get("/v1/search", q="needle")
        assert (response.status_code, "Retry-After" in response.headers) == (503, True)
        say(stream_client, producer, "needle after")
        postgres_server.start()
        wait_until(lambda: replica.get("/v1/search", q="needle").status_code == 200, seconds=30)
        wait_until(lambda: len(search(replica, "needle").hits) == 2, seconds=30)
