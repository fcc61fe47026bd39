"""The servers that other integration tests stand on: fresh for each test, and breakable at will."""

from __future__ import annotations

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.servers.embedded import EmbeddedServer


@pytest.mark.parametrize("attempt", [1, 2])
def test_database_is_empty_when_a_test_starts(postgres_url: str, attempt: int) -> None:
    """A table that an earlier test made is not there."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table left_behind (n int)")


@pytest.mark.parametrize("attempt", [1, 2])
def test_redis_is_empty_when_a_test_starts(redis_url: str, attempt: int) -> None:
    """A key that an earlier test set is not there."""
    client = redis.Redis.from_url(redis_url)
    assert client.set("left_behind", "1", nx=True)
    client.close()


def test_postgres_keeps_its_data_when_killed_and_started_again(postgres_server: EmbeddedServer) -> None:
    """Committed rows are there after SIGKILL and a start on the same port."""
    with psycopg.connect(postgres_server.url) as connection:
        connection.execute("create table kept as select 1 as n")
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url, connect_timeout=2)
    postgres_server.start()
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("select n from kept").fetchone() == (1,)


def test_redis_times_out_when_paused_and_answers_when_resumed(redis_server: EmbeddedServer) -> None:
    """A frozen server holds the connection and says nothing; a thawed one goes on with its data."""
    patient = redis.Redis.from_url(redis_server.url, socket_timeout=30, retry=Retry(NoBackoff(), 0))
    impatient = redis.Redis.from_url(redis_server.url, socket_timeout=0.3, retry=Retry(NoBackoff(), 0))
    patient.set("kept", "1")
    redis_server.pause()
    with pytest.raises(redis.TimeoutError):
        impatient.get("kept")
    redis_server.resume()
    assert patient.get("kept") == b"1"
    patient.close()
    impatient.close()


def test_redis_keeps_its_data_when_stopped_and_started_again(redis_server: EmbeddedServer) -> None:
    """The append-only file brings every key back on the same port."""
    client = redis.Redis.from_url(redis_server.url, retry=Retry(NoBackoff(), 0))
    client.set("kept", "1")
    redis_server.stop()
    with pytest.raises(redis.ConnectionError):
        client.get("kept")
    redis_server.start()
    assert client.get("kept") == b"1"
    client.close()
