"""What `EntryStream` promises, kept alike by the fake and by Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from redis.asyncio import Redis
from tests.unit.transcript_ingest.fakes import FakeLog, FakeStream
from tests.waiting import eventually

from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_transcript_ingest.adapters.redis_stream import (
    GROUP,
    READ_COUNT,
    RECLAIM_IDLE_MS,
    RETENTION_MS,
    SET_ENTRIES,
    RedisEntryStream,
    create_client,
)
from meetai_transcript_ingest.domain.errors import GroupMissingError, TryLaterError
from meetai_transcript_ingest.domain.intake import Arrival
from meetai_transcript_ingest.ports import EntryStream

KEY = stream_key(0)


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
        self.log = FakeLog()

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
        return RedisEntryStream(self.client, shard=0, consumer=name)

    async def put(self, data: bytes) -> str:
        return text(await self.client.xadd(KEY, {BATCH_FIELD: data}))

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


@pytest.fixture(params=["fake", "redis"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "fake":
        yield FakeServer()
        return
    client = create_client(request.getfixturevalue("redis_url"))
    yield RedisServer(client)
    await client.aclose()


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    client = create_client(redis_url)
    yield client
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
    assert await one.read() == (Arrival(KEY, first, {BATCH_FIELD.encode(): b"\0\xff1"}),)
    rest = [await server.put(b"2"), await server.put(b"3")]
    assert ids(await other.read()) == rest
    await one.join()
    assert await server.pending() == {first, *rest}


async def test_read_returns_as_soon_as_an_entry_comes(server: Server) -> None:
    """It doesn't wait out its time."""
    stream = server.consumer("one")
    await stream.join()
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    entry_id = await server.put(b"1")
    async with asyncio.timeout(1):
        assert ids(await reading) == [entry_id]


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
    assert reclaimed.arrivals == (Arrival(KEY, left, {BATCH_FIELD.encode(): b"left"}),)
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


async def test_lag_is_counted_when_the_server_can_not_tell_it(redis_client: Redis) -> None:
    """A deleted entry makes Redis 7 say nil, as 6.2 always does."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    added = [await redis_client.xadd(KEY, {BATCH_FIELD: b"x"}) for _ in range(4)]
    await redis_client.xreadgroup(GROUP, "one", {KEY: ">"}, count=1)
    await redis_client.xdel(KEY, added[2])
    assert (await stream.status()).lag_entries == 2


async def test_blocked_read_says_so_when_the_stream_is_deleted(redis_client: Redis) -> None:
    """It isn't taken for an idle stream."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    reading = asyncio.create_task(stream.read())

    async def is_blocked() -> bool:
        return bool((await redis_client.info("clients"))["blocked_clients"])

    await eventually(is_blocked, seconds=2)
    await redis_client.delete(KEY)
    with pytest.raises(GroupMissingError):
        await reading


async def test_trimming_drops_only_what_every_group_is_done_with(redis_client: Redis) -> None:
    """Not what is pending, not what another group has yet to read, and nothing of the last hour."""
    seconds, _ = await redis_client.time()
    long_ago = (seconds * 1000) - RETENTION_MS - 60_000

    async def add(ms: int, count: int) -> list[str]:
        entry = b"x" * 100
        return [text(await redis_client.xadd(KEY, {BATCH_FIELD: entry}, id=f"{ms}-{i}")) for i in range(count)]

    async def first_left() -> str:
        entries = await redis_client.xrange(KEY, count=1)
        assert entries
        return text(entries[0][0])

    old = await add(long_ago, 1_000)
    recent = await add(seconds * 1000 - 1_000, 500)
    await redis_client.xgroup_create(KEY, "slow", id="0")
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    delivered: list[str] = []
    while len(delivered) < len(old) + len(recent):
        delivered += ids(await stream.read())
    assert await stream.trim() == 0
    await redis_client.xgroup_setid(KEY, "slow", recent[-1])
    assert await stream.trim() == 0
    await stream.acknowledge(delivered[:300])
    assert await stream.trim() > 0
    assert old[200] <= await first_left() <= old[300]
    await stream.acknowledge(delivered)
    await stream.trim()
    assert await first_left() >= old[-200]
    assert await redis_client.xlen(KEY) >= len(recent)


async def test_consumers_are_forgotten_when_they_owe_nothing_and_are_long_gone(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has an entry pending stays, and so does who asks."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="me")
    await stream.join()
    for name in ("idle", "owing", "me"):
        await redis_client.xadd(KEY, {BATCH_FIELD: b"x"})
        await redis_client.xreadgroup(GROUP, name, {KEY: ">"}, count=1)
    await redis_client.xack(KEY, GROUP, (await redis_client.xpending_range(KEY, GROUP, "-", "+", 1))[0]["message_id"])
    assert await stream.prune_consumers() == 0
    monkeypatch.setattr("meetai_transcript_ingest.adapters.redis_stream.PRUNE_IDLE_MS", -1)
    assert await stream.prune_consumers() == 1
    names = {consumer["name"] for consumer in await redis_client.xinfo_consumers(KEY, GROUP)}
    assert names == {b"owing", b"me"}


async def test_reading_goes_on_when_the_server_is_full(redis_client: Redis) -> None:
    """Under noeviction a full server refuses XADD; joining an existing group, reading and acknowledging work on."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    entry_id = text(await redis_client.xadd(KEY, {BATCH_FIELD: b"x"}))
    await redis_client.config_set("maxmemory", "1")
    try:
        newcomer = RedisEntryStream(redis_client, shard=0, consumer="two")
        await newcomer.join()
        assert ids(await newcomer.read()) == [entry_id]
        await newcomer.acknowledge([entry_id])
        await newcomer.trim()
        await newcomer.status()
        with pytest.raises(TryLaterError):
            await RedisEntryStream(redis_client, shard=1, consumer="two").join()
    finally:
        await redis_client.config_set("maxmemory", "0")


async def test_later_is_said_when_nobody_listens() -> None:
    """A server that is away is an error of this service, not of redis-py."""
    client = create_client("redis://127.0.0.1:1/0")
    with pytest.raises(TryLaterError):
        await RedisEntryStream(client, shard=0, consumer="one").read()
    await client.aclose()


async def test_fewer_entries_are_read_when_they_are_large(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is held stays within a bound; small ones bring the count up again."""
    monkeypatch.setattr("meetai_transcript_ingest.adapters.redis_stream.READ_BYTES", 4_000)
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    for _ in range(20):
        await redis_client.xadd(KEY, {BATCH_FIELD: b"x" * 1_000})
    assert len(await stream.read()) == 20
    for size in [10] * 300:
        await redis_client.xadd(KEY, {BATCH_FIELD: b"x" * size})
    assert [len(await stream.read()) for _ in range(2)] == [254, 46]


async def test_backlog_is_read_as_one_set_up_to_its_bounds_when_entries_are_small(redis_client: Redis) -> None:
    """Several rounds a set: 1,000 entries, then the rest without waiting for more."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    for _ in range(1_100):
        await redis_client.xadd(KEY, {BATCH_FIELD: b"x"})
    assert [len(await stream.read()) for _ in range(2)] == [SET_ENTRIES, 100]


async def test_entries_are_kept_in_hand_when_a_later_round_fails(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first round was given isn't lost with the second: only its next read fails."""
    stream = RedisEntryStream(redis_client, shard=0, consumer="one")
    await stream.join()
    for _ in range(READ_COUNT):
        await redis_client.xadd(KEY, {BATCH_FIELD: b"x"})
    read_round = stream._read_round

    async def first_round_only(*, block_ms: int | None) -> tuple[Arrival, ...]:
        if block_ms is None:
            raise ConnectionError
        return await read_round(block_ms=block_ms)

    monkeypatch.setattr(stream, "_read_round", first_round_only)
    assert len(await stream.read()) == READ_COUNT
