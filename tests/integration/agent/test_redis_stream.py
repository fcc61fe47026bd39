"""The stream on a real Redis: away, hung, full, and with its replies cut; then a whole delivery through such days."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis
from tests.integration.agent.redis_under_test import SHARDS, RedisUnderTest, on_shard, redis
from tests.unit.agent.stream_suite import StreamSuite, StreamUnderTest

from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_contracts.transcript import shard_of

IN_TIME_SECONDS = 3.9
"""The adapter's own 2 s and a busy machine; a second try would end after 4 s."""

__all__ = ["redis"]


class TestRedisStream(StreamSuite):
    """The stream in Redis."""

    @pytest.fixture
    def under_test(self, redis: RedisUnderTest) -> StreamUnderTest:
        return redis


async def test_an_attempt_ends_in_time_when_the_server_hangs(redis: RedisUnderTest) -> None:
    """On a connection that was open before, and on one that has to be made; readiness is told as well."""
    await redis.stream.append("standup", b"before")
    redis.proxy.hang(True)
    started = time.monotonic()
    attempts = [redis.stream.append("standup", b"meanwhile"), redis.stream.ping(), redis.stream.ping()]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert time.monotonic() - started < IN_TIME_SECONDS
    assert [type(outcome) for outcome in outcomes] == [StreamUnavailableError] * 3
    redis.proxy.hang(False)
    await redis.stream.append("standup", b"after")
    found = await redis.entries("standup")
    assert (found[0], found[-1]) == (b"before", b"after")


async def test_an_entry_is_refused_when_redis_is_full(redis: RedisUnderTest) -> None:
    """Under `noeviction` Redis denies writes; nothing that was there goes."""
    await redis.stream.append("standup", b"before")
    async with Redis.from_url(redis.url) as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        try:
            with pytest.raises(StreamUnavailableError):
                await redis.stream.append("standup", b"meanwhile")
        finally:
            await admin.config_set("maxmemory", "0")
    await redis.stream.append("standup", b"after")
    assert await redis.entries("standup") == [b"before", b"after"]


async def test_meetings_are_spread_when_there_are_several_streams(redis_url: str) -> None:
    """One meeting is always on one stream, the one that its id says."""
    stream = RedisBatchStream(redis_url, shards=SHARDS)
    for number in range(12):
        await stream.append(f"meeting {number}", f"{number}".encode())
    await stream.aclose()
    found = {shard: await on_shard(redis_url, shard) for shard in range(SHARDS)}
    assert all(f"{n}".encode() in found[shard_of(f"meeting {n}", SHARDS)] for n in range(12))
    assert sum(map(len, found.values())) == 12
    assert min(map(len, found.values())) > 0
