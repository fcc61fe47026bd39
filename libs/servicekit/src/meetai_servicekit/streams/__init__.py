"""Redis Streams, read by a consumer group: an entry is done when what it says is durable, and nobody's death loses one.

- `ports`: what a stream promises, and who counts.
- `redis_stream`: that promise on Redis (extra `redis`).
- `consumer`: the loop over one stream.
- `prometheus`: the counts.
"""

from __future__ import annotations

from meetai_servicekit.streams.consumer import StreamConsumer, consumer_name
from meetai_servicekit.streams.ports import (
    Arrival,
    EntryStream,
    GroupMissingError,
    Reclaimed,
    StreamObserver,
    StreamStatus,
)

__all__ = [
    "Arrival",
    "EntryStream",
    "GroupMissingError",
    "Reclaimed",
    "StreamConsumer",
    "StreamObserver",
    "StreamStatus",
    "consumer_name",
]
