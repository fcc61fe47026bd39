"""A real Redis behind a proxy that can misbehave, and what a store would read of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from tests.servers.cutting_proxy import CuttingProxy

from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_contracts.transcript import BATCH_FIELD, shard_of, stream_key

SHARDS = 3


async def on_shard(url: str, shard: int) -> list[bytes]:
    """What a store would read of one stream."""
    async with Redis.from_url(url) as redis:
        found: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(stream_key(shard))  # type: ignore[assignment]  # redis-py's union of protocols
    return [fields[BATCH_FIELD.encode()] for _, fields in found]


async def entries(url: str, meeting_id: str) -> list[bytes]:
    """What a store would read of the stream that carries this meeting."""
    return await on_shard(url, shard_of(meeting_id, SHARDS))


def files(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


class RedisUnderTest:
    def __init__(self, url: str, proxy: CuttingProxy, stream: RedisBatchStream) -> None:
        self.stream = stream
        self.proxy = proxy
        self.url = url

    async def entries(self, meeting_id: str) -> list[bytes]:
        return await entries(self.url, meeting_id)

    async def go_away(self) -> None:
        self.proxy.refuse(True)

    async def come_back(self) -> None:
        self.proxy.refuse(False)

    async def cut_next_reply(self) -> None:
        self.proxy.cut_reply_to(b"XADD")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisUnderTest]:
    """A stream in an empty Redis, behind a proxy."""
    parts = urlsplit(redis_url)
    assert parts.port is not None
    async with CuttingProxy(parts.port) as proxy:
        url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        stream = RedisBatchStream(url, shards=SHARDS)
        yield RedisUnderTest(redis_url, proxy, stream)
        await stream.aclose()
