"""The transcript streams in Redis.

Owns the connection and what counts as confirmed. redis-py's own retries are off: they would send an entry many times over
(FACTS, Redis: one xadd with its replies cut made 11 entries), and the buffer retries by rules of its own.
"""

from __future__ import annotations

from typing import Final

from redis import DriverInfo
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.typing import EncodableT, FieldT

from meetai_agent.domain.errors import StreamUnavailableError
from meetai_contracts.transcript import BATCH_FIELD, TRACE_FIELD, shard_of, stream_key
from meetai_servicekit.tracing import current_traceparent

SOCKET_TIMEOUT_SECONDS: Final = 2.0
DRIVER: Final = DriverInfo()
"""Knows the version already: else each connection would read it from a file, on the loop (redis-py 8.1, driver_info.py)."""


class RedisBatchStream:
    """`ports.BatchStream` over Redis Streams, sharded by meeting."""

    def __init__(self, redis_url: str, *, shards: int) -> None:
        self._redis: Redis = Redis.from_url(
            redis_url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            driver_info=DRIVER,
            client_name="meetai-agent",
        )
        self._shards = shards

    async def append(self, meeting_id: str, batch: bytes) -> None:
        """Append one entry to the meeting's stream.

        Raises:
            StreamUnavailableError: no confirmation within 2 s, or an error; the entry may have landed.
        """
        key = stream_key(shard_of(meeting_id, self._shards))
        try:
            await self._redis.xadd(key, _fields(batch))
        except (RedisError, OSError, TimeoutError) as error:
            raise StreamUnavailableError(type(error).__name__) from error

    async def ping(self) -> None:
        """Ask whether Redis answers.

        Raises:
            StreamUnavailableError: it doesn't.
        """
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise StreamUnavailableError(type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _fields(batch: bytes) -> dict[FieldT, EncodableT]:
    """The batch, and beside it what joins this attempt with the commit at the other end."""
    traceparent = current_traceparent()
    return {BATCH_FIELD: batch} if traceparent is None else {BATCH_FIELD: batch, TRACE_FIELD: traceparent}
