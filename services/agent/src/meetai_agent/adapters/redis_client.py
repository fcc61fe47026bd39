"""The agent's connections to Redis.

Owns their limits. redis-py's own retries are off: they would send an entry many times over (FACTS, Redis: one xadd with its replies
cut made 11 entries), and who sends retries by rules of its own.
"""

from __future__ import annotations

from typing import Final

from redis import DriverInfo
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SOCKET_TIMEOUT_SECONDS: Final = 2.0
_DRIVER: Final = DriverInfo()
"""Knows the version already: else each connection would read it from a file, on the loop (redis-py 8.1, driver_info.py)."""


def create_client(redis_url: str, name: str) -> Redis:
    """A client that isn't connected yet, known to the server by this name."""
    return Redis.from_url(
        redis_url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=_DRIVER,
        client_name=name,
    )
