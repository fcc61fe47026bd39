"""What is Redis' own: its bounds, its errors, how it is trimmed. What every stream promises is in `test_stream_suite`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.unit.servicekit.fake_streams import FIELD
from tests.waiting import eventually

from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams import Arrival, GroupMissingError
from meetai_servicekit.streams.redis_server import check_server
from meetai_servicekit.streams.redis_stream import (
    READ_COUNT,
    RETENTION_MS,
    SET_ENTRIES,
    RedisEntryStream,
    create_client,
)

KEY = "test:{0}"
GROUP = "readers"


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


async def test_server_tells_how_it_may_lose_entries(redis_client: Redis) -> None:
    """By the names that a real one gives to what is set."""
    as_it_was: Any = await redis_client.config_get("maxmemory-policy", "appendonly")
    try:
        await redis_client.config_set("maxmemory-policy", "allkeys-lru", "appendonly", "no")
        may_lose = await check_server(redis_client)
        assert may_lose is not None
        assert "maxmemory-policy is allkeys-lru" in may_lose
        assert "appendonly is off" in may_lose
        await redis_client.config_set("maxmemory-policy", "noeviction", "appendonly", "yes")
        assert await check_server(redis_client) is None
    finally:
        await redis_client.config_set(*[each for pair in as_it_was.items() for each in pair])


async def test_lag_is_counted_when_the_server_can_not_tell_it(redis_client: Redis) -> None:
    """A deleted entry makes Redis 7 say nil, as 6.2 always does."""
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
    await stream.join()
    added = [await redis_client.xadd(KEY, {FIELD: b"x"}) for _ in range(4)]
    await redis_client.xreadgroup(GROUP, "one", {KEY: ">"}, count=1)
    await redis_client.xdel(KEY, added[2])
    assert (await stream.status()).lag_entries == 2


async def test_blocked_read_says_so_when_the_stream_is_deleted(redis_client: Redis) -> None:
    """It isn't taken for an idle stream."""
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
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
        return [text(await redis_client.xadd(KEY, {FIELD: entry}, id=f"{ms}-{i}")) for i in range(count)]

    async def first_left() -> str:
        entries = await redis_client.xrange(KEY, count=1)
        assert entries
        return text(entries[0][0])

    old = await add(long_ago, 1_000)
    recent = await add(seconds * 1000 - 1_000, 500)
    await redis_client.xgroup_create(KEY, "slow", id="0")
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
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
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="me")
    await stream.join()
    for name in ("idle", "owing", "me"):
        await redis_client.xadd(KEY, {FIELD: b"x"})
        await redis_client.xreadgroup(GROUP, name, {KEY: ">"}, count=1)
    await redis_client.xack(KEY, GROUP, (await redis_client.xpending_range(KEY, GROUP, "-", "+", 1))[0]["message_id"])
    assert await stream.prune_consumers() == 0
    monkeypatch.setattr("meetai_servicekit.streams.redis_stream.PRUNE_IDLE_MS", -1)
    assert await stream.prune_consumers() == 1
    names = {consumer["name"] for consumer in await redis_client.xinfo_consumers(KEY, GROUP)}
    assert names == {b"owing", b"me"}


async def test_reading_goes_on_when_the_server_is_full(redis_client: Redis) -> None:
    """Under noeviction a full server refuses XADD; joining an existing group, reading and acknowledging work on."""
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
    await stream.join()
    entry_id = text(await redis_client.xadd(KEY, {FIELD: b"x"}))
    await redis_client.config_set("maxmemory", "1")
    try:
        newcomer = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="two")
        await newcomer.join()
        assert ids(await newcomer.read()) == [entry_id]
        await newcomer.acknowledge([entry_id])
        await newcomer.trim()
        await newcomer.status()
        with pytest.raises(TryLaterError):
            await RedisEntryStream(redis_client, key="another", group=GROUP, consumer="two").join()
    finally:
        await redis_client.config_set("maxmemory", "0")


async def test_later_is_said_when_nobody_listens() -> None:
    """A server that is away is an error of this service, not of redis-py."""
    client = create_client("redis://127.0.0.1:1/0")
    with pytest.raises(TryLaterError):
        await RedisEntryStream(client, key=KEY, group=GROUP, consumer="one").read()
    await client.aclose()


async def test_fewer_entries_are_read_when_they_are_large(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is held stays within a bound; small ones bring the count up again."""
    monkeypatch.setattr("meetai_servicekit.streams.redis_stream.READ_BYTES", 4_000)
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
    await stream.join()
    for _ in range(20):
        await redis_client.xadd(KEY, {FIELD: b"x" * 1_000})
    assert len(await stream.read()) == 20
    for size in [10] * 300:
        await redis_client.xadd(KEY, {FIELD: b"x" * size})
    assert [len(await stream.read()) for _ in range(2)] == [254, 46]


async def test_backlog_is_read_as_one_set_up_to_its_bounds_when_entries_are_small(redis_client: Redis) -> None:
    """Several rounds a set: 1,000 entries, then the rest without waiting for more."""
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
    await stream.join()
    for _ in range(1_100):
        await redis_client.xadd(KEY, {FIELD: b"x"})
    assert [len(await stream.read()) for _ in range(2)] == [SET_ENTRIES, 100]


async def test_entries_are_kept_in_hand_when_a_later_round_fails(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first round was given isn't lost with the second: only its next read fails."""
    stream = RedisEntryStream(redis_client, key=KEY, group=GROUP, consumer="one")
    await stream.join()
    for _ in range(READ_COUNT):
        await redis_client.xadd(KEY, {FIELD: b"x"})
    read_round = stream._read_round

    async def first_round_only(*, block_ms: int | None) -> tuple[Arrival, ...]:
        if block_ms is None:
            raise ConnectionError
        return await read_round(block_ms=block_ms)

    monkeypatch.setattr(stream, "_read_round", first_round_only)
    assert len(await stream.read()) == READ_COUNT
