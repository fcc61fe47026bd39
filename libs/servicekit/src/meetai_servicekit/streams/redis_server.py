"""What a Redis server must be for streams to live in it: new enough, and keeping what it is given.

Owns what a server says of itself and what that means. Must not change how it is set up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from meetai_servicekit.health import NotReadyError
from meetai_servicekit.patience import TryLaterError

OLDEST_REDIS: Final = (6, 2)
"""XPENDING with IDLE, XTRIM with MINID and XRANGE with an exclusive start came with it. Valkey calls itself a Redis 7.2."""


class ServerTooOldError(TryLaterError, NotReadyError):
    """Retry when the server has been replaced: this Redis lacks commands that a consumer group needs here."""


async def check_server(client: Redis) -> str | None:
    """How this server may lose what is only in its streams, in words; None where it says nothing of the kind.

    One that won't say what it is, since an account may lack INFO, counts as good.

    Raises:
        ServerTooOldError: says which version it is, and which it must be.
        RedisError: no answer.
    """
    try:
        about: Any = await client.info()  # all of it: naming several sections came with 7.0
    except ResponseError:
        return None
    _check_version(str(about.get("redis_version", "")))
    return "; ".join(_ways_to_lose(about)) or None


def _check_version(version: str) -> None:
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if len(numbers) == 2 and tuple(numbers) < OLDEST_REDIS:
        raise ServerTooOldError(f"Redis {version} is too old: {'.'.join(map(str, OLDEST_REDIS))} or newer is needed")


def _ways_to_lose(about: Mapping[str, Any]) -> Iterator[str]:
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy is {policy}, which deletes when memory is short: set noeviction"
    if about.get("aof_enabled") == 0:
        yield "appendonly is off, so that a restart forgets what came since the last snapshot: set it to yes"
