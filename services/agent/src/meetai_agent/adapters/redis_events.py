"""The events stream in Redis. As `redis_stream`; who tells an event retries it."""

from __future__ import annotations

from redis.exceptions import RedisError

from meetai_agent.adapters.redis_client import create_client
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM


class RedisEventStream:
    """`ports.EventStream` over `meetai:events`. Connects when the first event is told."""

    def __init__(self, redis_url: str) -> None:
        self._redis = create_client(redis_url, "meetai-agent-events")

    async def append(self, event: bytes) -> None:
        """Append one event.

        Raises:
            StreamUnavailableError: no confirmation within 2 s, or an error; the event may have landed.
        """
        try:
            await self._redis.xadd(EVENTS_STREAM, {EVENT_FIELD: event})
        except (RedisError, OSError, TimeoutError) as error:
            raise StreamUnavailableError(type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
