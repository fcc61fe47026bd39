"""Requests counted in Redis, for several replicas; in this process while Redis is away.

Owns the time limit on Redis: a count is worth less than an answer in time.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from meetai_servicekit.secret import RedisUrl
from meetai_token.domain.limits import Quota
from meetai_token.ports import Limits

TIMEOUT_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 5.0
"""How long Redis isn't tried again once it didn't answer."""

log = structlog.get_logger()


class RedisLimits:
    """Counts that all replicas share. Subjects are stored as digests: who asks is nobody's business there."""

    def __init__(self, url: RedisUrl, *, otherwise: Limits, now: Callable[[], float]) -> None:
        self._url = url.reveal()
        self._otherwise = otherwise
        self._now = now
        self._away_until = 0.0
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Counts are shared within the block. Doesn't wait for the server."""
        pool = ConnectionPool.from_url(
            self._url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage(
            f"async+{self._url}",
            implementation="redispy",
            key_prefix="meetai-token",
            connection_pool=pool,  # type: ignore[arg-type]  # its docstring takes one; its annotation forgot
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        try:
            yield
        finally:
            self._limiter = None
            await pool.aclose()

    async def take(self, quota: Quota, subject: str) -> float | None:
        """Count one request; None if it is within the quota, else seconds until one would be, and it isn't counted."""
        if self._limiter is not None and self._now() >= self._away_until:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await self._taken(self._limiter, quota, subject)
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = self._now() + AWAY_SECONDS
                log.warning("limits_not_shared", error=type(error).__name__)
        return await self._otherwise.take(quota, subject)

    @staticmethod
    async def _taken(limiter: SlidingWindowCounterRateLimiter, quota: Quota, subject: str) -> float | None:
        item = RateLimitItemPerMinute(quota.per_minute)
        who = hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()
        if await limiter.hit(item, quota.name, who):
            return None
        stats = await limiter.get_window_stats(item, quota.name, who)
        return max(stats.reset_time - time.time(), 0)
