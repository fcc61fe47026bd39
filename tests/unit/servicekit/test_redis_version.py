"""Which servers a stream is read from."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams.redis_stream import RedisEntryStream, check_version


class SomeRedis:
    """Says that it is this version; None: it doesn't say."""

    def __init__(self, version: str | None) -> None:
        self._version = version

    async def info(self, section: str) -> dict[str, Any]:
        assert section == "server"
        if self._version is None:
            raise NoPermissionError
        return {"redis_version": self._version} if self._version else {}


def client(version: str | None) -> Redis:
    return cast("Redis", SomeRedis(version))


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.16"])
async def test_consumer_does_not_join_when_the_server_is_too_old(version: str) -> None:
    """Nothing is read, and the error that is logged says what is wrong."""
    stream = RedisEntryStream(client(version), key="k", group="g", consumer="c")
    with pytest.raises(TryLaterError, match=f"Redis {version} is too old: 6.2 or newer"):
        await stream.join()


@pytest.mark.parametrize(
    "version", ["6.2.0", "7.0.15", "7.2.4", "8.10.1", "10.0.0", "255.255.255", "unstable", "", None]
)
async def test_server_is_taken_when_it_is_new_enough_or_does_not_say(version: str | None) -> None:
    """Versions are numbers, not text; and an account without INFO can still be one that reads streams."""
    await check_version(client(version))
