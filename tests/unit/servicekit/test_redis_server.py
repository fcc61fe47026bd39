"""Which servers a stream is read from, and of which somebody is warned."""

from __future__ import annotations

from typing import Any, cast

import pytest
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams.redis_server import check_server
from meetai_servicekit.streams.redis_stream import RedisEntryStream

GOOD = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1}


class SomeRedis:
    """Says this of itself; None: it doesn't say anything."""

    def __init__(self, about: dict[str, Any] | None) -> None:
        self._about = about

    async def info(self) -> dict[str, Any]:
        if self._about is None:
            raise NoPermissionError
        return self._about

    async def xinfo_groups(self, _key: str) -> list[dict[str, Any]]:
        return [{"name": b"g"}]


def client(about: dict[str, Any] | None) -> Redis:
    return cast("Redis", SomeRedis(about))


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.16"])
async def test_consumer_does_not_join_when_the_server_is_too_old(version: str) -> None:
    """Nothing is read, and the error that is logged says what is wrong."""
    stream = RedisEntryStream(client({**GOOD, "redis_version": version}), key="k", group="g", consumer="c")
    with pytest.raises(TryLaterError, match=f"Redis {version} is too old: 6.2 or newer"):
        await stream.join()


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "7.2.4", "8.10.1", "10.0.0", "255.255.255", "unstable", ""])
async def test_server_is_good_when_it_is_new_enough_or_does_not_say(version: str) -> None:
    """Versions are numbers, not text."""
    assert await check_server(client({**GOOD, "redis_version": version})) is None


@pytest.mark.parametrize("about", [None, {}, {"redis_version": "7.2.4"}])
async def test_server_is_good_when_it_says_little(about: dict[str, Any] | None) -> None:
    """An account without INFO can still be one that reads streams."""
    assert await check_server(client(about)) is None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl"),
        ({"aof_enabled": 0}, "appendonly is off"),
    ],
)
async def test_consumer_joins_with_a_warning_when_the_server_may_lose_entries(
    setting: dict[str, Any], words: str
) -> None:
    """It is for the operator to mend; refusing to read would lose more."""
    with structlog.testing.capture_logs() as logs:
        await RedisEntryStream(client({**GOOD, **setting}), key="k", group="g", consumer="c").join()
    (warning,) = logs
    assert (warning["event"], warning["log_level"], warning["stream"]) == ("redis_may_lose_entries", "warning", "k")
    assert words in warning["how"]
