"""The live tail through the running service: never a line skipped, never one repeated, whatever ends in between."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psycopg
import redis
from tests.integration.transcript_ingest.event_source import EventSource, client
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest, ingest
from tests.servers.embedded import EmbeddedServer
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import eventually, wait_until

from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key
from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA

CLIENTS = 200


def send(stream: redis.Redis, *entries: bytes) -> None:
    for entry in entries:
        stream.xadd(stream_key(0), {BATCH_FIELD: entry})


@asynccontextmanager
async def talking(stream: redis.Redis, *producers: Producer) -> AsyncIterator[None]:
    """All of them say something all the time, each in entries of its own. All that was said has been sent in the end."""
    over = asyncio.Event()

    async def talk() -> None:
        while not over.is_set():
            await asyncio.to_thread(send, stream, *(producer.say(2) for producer in producers))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        over.set()
        await task


def assert_each_once(source: EventSource, *producers: Producer) -> None:
    assert source.ids == sorted(set(source.ids))
    assert sorted(line.id for line in source.lines) == sorted(line.id for each in producers for line in each.said)


def has_all(source: EventSource, *producers: Producer) -> bool:
    return len(source.lines) >= sum(len(each.said) for each in producers)


async def test_stream_goes_on_exactly_when_it_is_resumed_at_any_event(
    replica: Ingest, stream_client: redis.Redis
) -> None:
    """From the start, and after each of the events, by the header or the query."""
    producer, other = Producer("resumed/é"), Producer("resumed/é", from_ms=-50_000)
    send(
        stream_client, producer.open(), producer.say(7), other.say(6), producer.say(7), other.close(), producer.close()
    )
    wait_until(lambda: len(replica.transcript("resumed/é")) == 20, seconds=10)
    async with client() as http:
        whole = EventSource("resumed/é")
        await whole.read(http, replica.url, events=20)
        assert_each_once(whole, producer, other)
        assert sorted(whole.lines, key=lambda line: (line.started_ms, line.producer_id)) == replica.transcript(
            "resumed/é"
        )
        for seen in range(19):
            resumed = EventSource("resumed/é", str(whole.ids[seen]))
            await resumed.read(http, replica.url, events=19 - seen)
            assert resumed.ids == whole.ids[seen + 1 :]
    with httpx.stream(
        "GET",
        f"{replica.url}/v1/meetings/resumed%2F%C3%A9/stream?last_event_id={whole.ids[17]}",
        headers={"Authorization": f"Bearer {READER_KEY}"},
    ) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        text = ""
        for chunk in response.iter_text():
            text += chunk
            if text.count("event: line") == 2:
                break
    assert text.startswith("retry: ")
    assert f"id: {whole.ids[18]}\n" in text


async def test_nothing_is_skipped_or_repeated_when_a_client_comes_and_goes(
    replica: Ingest, stream_client: redis.Redis
) -> None:
    """Two producers of one meeting write all the while; a client reads a few events at a time."""
    producers = Producer("comings"), Producer("comings", from_ms=300)
    source = EventSource("comings")
    async with client() as http, asyncio.timeout(60):
        async with talking(stream_client, *producers):
            while len(source.lines) < 150:
                await source.read(http, replica.url, events=1 + source.connections % 7)
        if left := sum(len(each.said) for each in producers) - len(source.lines):
            await source.read(http, replica.url, events=left)
    assert source.connections > 20
    assert_each_once(source, *producers)


async def test_nothing_is_skipped_or_repeated_when_replicas_end_under_the_client(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer
) -> None:
    """Two replicas write and serve; one is stopped, the other killed, each comes back; the client goes from one to the other."""
    producers = Producer("restarts"), Producer("restarts", from_ms=300)
    source = EventSource("restarts")
    with (
        redis.Redis.from_url(redis_server.url) as stream,
        ingest(tmp_path, database_url, redis_server.url) as one,
        ingest(tmp_path, database_url, redis_server.url) as two,
    ):
        async with client() as http, asyncio.timeout(120):
            reading = asyncio.create_task(source.keep_reading(http, one.url, two.url))
            async with talking(stream, *producers):
                for replica in (one, two, one):
                    goal = len(source.lines) + 60
                    await _lines(source, goal)
                    if replica is two:
                        replica.kill()
                    else:
                        assert await asyncio.to_thread(replica.terminate) == 0
                    await _lines(source, goal + 60)
                    replica.restart()
                    await asyncio.to_thread(wait_until, replica.is_ready, seconds=30)

            await _has_all(source, *producers)
            reading.cancel()
            await asyncio.wait({reading})
    assert source.connections >= 3
    assert_each_once(source, *producers)


async def test_client_is_told_when_the_meeting_is_over(replica: Ingest, stream_client: redis.Redis) -> None:
    """As soon as the last agent's end is stored; the connection stays, and tells what comes after it as well."""
    producer, late = Producer("over"), Producer("over", from_ms=60_000)
    source = EventSource("over")
    async with client() as http, asyncio.timeout(60):
        reading = asyncio.create_task(source.read(http, replica.url))
        send(stream_client, producer.open(), producer.say(5))
        await _has_all(source, producer)
        assert source.ends == 0
        send(stream_client, producer.close())
        await _ends(source, 1)
        send(stream_client, late.say(2), late.close())
        await _has_all(source, producer, late)
        await _ends(source, 2)
        reading.cancel()
        await asyncio.wait({reading})
    assert source.connections == 1
    assert_each_once(source, producer, late)


async def test_clients_stay_when_postgres_is_restarted(
    tmp_path: Path, postgres_server: EmbeddedServer, redis_server: EmbeddedServer
) -> None:
    """They hear nothing while it is away, and everything once it is back, on the same connection."""
    migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    producer = Producer("postgres")
    source = EventSource("postgres")
    with (
        redis.Redis.from_url(redis_server.url) as stream,
        ingest(tmp_path, postgres_server.url, redis_server.url) as replica,
    ):
        async with client() as http, asyncio.timeout(90):
            reading = asyncio.create_task(source.keep_reading(http, replica.url))
            send(stream, producer.say(3))
            await _has_all(source, producer)
            for end in (postgres_server.stop, postgres_server.kill):
                await asyncio.to_thread(end)
                send(stream, producer.say(3))
                await asyncio.to_thread(wait_until, lambda: not replica.is_ready(), seconds=10)
                await asyncio.to_thread(postgres_server.start)
                send(stream, producer.say(3))
                await _has_all(source, producer)
            reading.cancel()
            await asyncio.wait({reading})
    assert source.connections == 1
    assert_each_once(source, producer)


async def test_many_clients_are_served_at_once_when_they_share_one_listen(
    replica: Ingest, stream_client: redis.Redis, module_database_url: str
) -> None:
    """200 on two meetings; one more that reads nothing of a long transcript doesn't hold them up."""
    producers = Producer("crowd 0"), Producer("crowd 1")
    sources = [EventSource(f"crowd {number % 2}") for number in range(CLIENTS)]
    with _deaf(replica, stream_client):
        async with client() as http, asyncio.timeout(90):
            readings = [asyncio.create_task(source.keep_reading(http, replica.url)) for source in sources]
            await asyncio.to_thread(
                wait_until, lambda: replica.metric("meetai_ingest_sse_clients") == CLIENTS + 1, seconds=30
            )
            with psycopg.connect(module_database_url) as admin:
                query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'transcript-ingest-listen' AND datname = current_database()"
                assert admin.execute(query).fetchone() == (1,)
                connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'transcript-ingest%%' AND datname = current_database()"
                row = admin.execute(connections).fetchone()
                assert row is not None
                assert row[0] <= 10
            waits = []
            for _ in range(10):
                started = time.monotonic()
                send(stream_client, *(producer.say(2) for producer in producers))
                await eventually(lambda: _all_have(sources, producers), seconds=20)
                waits.append(time.monotonic() - started)
            print(f"sent to received by {CLIENTS} clients: median {sorted(waits)[5] * 1000:.0f} ms")
            for reading in readings:
                reading.cancel()
            await asyncio.wait(readings)
    for number, source in enumerate(sources):
        assert_each_once(source, producers[number % 2])
    wait_until(lambda: replica.metric("meetai_ingest_sse_clients") == 0, seconds=10)


async def test_process_ends_promptly_when_clients_follow(
    tmp_path: Path, database_url: str, redis_server: EmbeddedServer
) -> None:
    """SIGTERM: those that read are ended properly, one that doesn't is cut off, and nobody waits 10 s for that."""
    producer = Producer("ending")
    sources = [EventSource("ending") for _ in range(20)]
    with (
        redis.Redis.from_url(redis_server.url) as stream,
        ingest(tmp_path, database_url, redis_server.url) as replica,
    ):
        send(stream, producer.say(2))
        with _deaf(replica, stream):
            async with client() as http:
                readings = [asyncio.create_task(source.read(http, replica.url)) for source in sources]
                await eventually(lambda: _all_have(sources, (producer, producer)), seconds=20)
                started = time.monotonic()
                assert await asyncio.to_thread(replica.terminate) == 0
                assert time.monotonic() - started < 9.5
                await asyncio.gather(*readings)


def test_client_is_turned_away_when_there_is_no_room(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """503 with a time to come back, and room again when somebody has gone."""
    with ingest(tmp_path, database_url, redis_url, extra={"STREAM_CLIENTS_MAX": "1"}) as replica:
        headers = {"Authorization": f"Bearer {READER_KEY}"}
        url = f"{replica.url}/v1/meetings/full/stream"
        with httpx.stream("GET", url, headers=headers) as first:
            assert first.status_code == 200
            chunks = first.iter_raw()
            assert next(chunks).startswith(b"retry: ")
            wait_until(lambda: replica.metric("meetai_ingest_sse_clients") == 1, seconds=5)
            refused = httpx.get(url, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        wait_until(lambda: replica.metric("meetai_ingest_sse_clients") == 0, seconds=5)
        with httpx.stream("GET", url, headers=headers) as again:
            assert again.status_code == 200


async def _lines(source: EventSource, count: int) -> None:
    async def there() -> bool:
        return len(source.lines) >= count

    await eventually(there, seconds=60)


async def _has_all(source: EventSource, *producers: Producer) -> None:
    async def there() -> bool:
        return has_all(source, *producers)

    await eventually(there, seconds=60)


async def _ends(source: EventSource, count: int) -> None:
    async def told() -> bool:
        return source.ends == count

    await eventually(told, seconds=30)


async def _all_have(sources: list[EventSource], producers: tuple[Producer, Producer]) -> bool:
    return all(has_all(source, producers[number % 2]) for number, source in enumerate(sources))


@contextmanager
def _deaf(replica: Ingest, stream: redis.Redis) -> Iterator[None]:
    """A client that asks for a stream of 10 MB and reads none of it."""
    producer = Producer("deaf")
    lines = [producer.line("x" * 16_000) for _ in range(600)]
    send(stream, *(encode_batch(producer.batch(*lines[start : start + 10])) for start in range(0, len(lines), 10)))
    wait_until(lambda: len(replica.page("deaf", limit=1000).lines) == len(lines), seconds=20)
    request = f"GET /v1/meetings/deaf/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER_KEY}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", replica.port)) as connection:
        connection.sendall(request.encode())
        yield
