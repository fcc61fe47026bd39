"""`EventsStream` on Redis: `meetai:events`, which webhook-bridge reads. Never trimmed here; the reader knows what it has."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from meetai_contracts.codec import encode_json
from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM, DomainEvent
from meetai_servicekit.streams.redis_stream import redis_errors_translated


class RedisEventsStream:
    """Appends to one stream.

    Args:
        client: From `create_client`, whose timeouts and missing retries hold here as well.
    """

    def __init__(self, client: Redis) -> None:
        self._redis = client

    async def publish(self, events: Sequence[DomainEvent]) -> None:
        """See `EventsStream.publish`."""
        pipeline = self._redis.pipeline(transaction=False)
        for event in events:
            pipeline.xadd(EVENTS_STREAM, {EVENT_FIELD: encode_json(event)})
        with redis_errors_translated():
            await pipeline.execute()
