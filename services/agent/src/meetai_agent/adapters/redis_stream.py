"""The transcript streams in Redis. Owns what counts as confirmed."""

from __future__ import annotations

from redis.exceptions import RedisError
from redis.typing import EncodableT, FieldT

from meetai_agent.adapters.redis_client import create_client
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_contracts.transcript import BATCH_FIELD, TRACE_FIELD, shard_of, stream_key
from meetai_servicekit.tracing import current_traceparent


class RedisBatchStream:
    """`ports.BatchStream` over Redis Streams, sharded by meeting."""

    def __init__(self, redis_url: str, *, shards: int) -> None:
        self._redis = create_client(redis_url, "meetai-agent")
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
