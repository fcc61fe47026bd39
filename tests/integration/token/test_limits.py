"""How often somebody may ask: one suite for both ways of counting, and what happens without Redis or behind a proxy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.integration.token.token_process import KEYS, TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer
from tests.waiting import wait_until

from meetai_servicekit.secret import RedisUrl
from meetai_token.adapters import limits_in_redis
from meetai_token.adapters.limits_in_process import InProcessLimits
from meetai_token.adapters.limits_in_redis import RedisLimits
from meetai_token.domain.limits import WINDOW_SECONDS, Quota
from meetai_token.ports import Limits

ONCE = Quota("person", 1)
THREE = Quota("person", 3)
OTHER = Quota("address", 3)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is slow on a busy machine isn't taken for one that is away."""
    monkeypatch.setattr(limits_in_redis, "TIMEOUT_SECONDS", 10)


@asynccontextmanager
async def shared(url: str) -> AsyncIterator[RedisLimits]:
    limits = RedisLimits(RedisUrl(url), otherwise=InProcessLimits(now=time.monotonic), now=time.monotonic)
    async with limits.connected():
        yield limits


class LimitsSuite:
    async def test_quota_is_for_each_subject_of_each_kind_when_used_up(self, limits: Limits) -> None:
        """So many and no more; the wait is told, others aren't touched."""
        waits = [await limits.take(THREE, "ann/1") for _ in range(5)]
        assert waits[:3] == [None, None, None]
        assert all(wait is not None and 0 <= wait <= WINDOW_SECONDS for wait in waits[3:])
        assert await limits.take(THREE, "ann") is None
        assert await limits.take(OTHER, "ann/1") is None

    async def test_quota_holds_when_requests_come_at_once(self, limits: Limits) -> None:
        """No two take the last place."""
        waits = await asyncio.gather(*(limits.take(THREE, "crowd") for _ in range(20)))
        assert sum(wait is None for wait in waits) == 3


class TestInProcess(LimitsSuite):
    @pytest.fixture
    def limits(self) -> Limits:
        return InProcessLimits(now=lambda: 1.0)


class TestRedis(LimitsSuite):
    @pytest.fixture
    async def limits(self, redis_url: str, patient: None) -> AsyncIterator[Limits]:
        async with shared(redis_url) as limits:
            yield limits


@pytest.mark.usefixtures("patient")
async def test_replicas_count_together_when_they_share_redis(redis_url: str) -> None:
    """The second replica knows what the first has let through."""
    async with shared(redis_url) as one, shared(redis_url) as two:
        waits = [await (one, two)[n % 2].take(THREE, "ann") for n in range(6)]
    assert sum(wait is None for wait in waits) == 3


@pytest.mark.parametrize("how", ["stopped", "frozen"])
@pytest.mark.usefixtures("patient")
async def test_requests_are_counted_here_when_redis_is_away(redis_server: EmbeddedServer, how: str) -> None:
    """No request fails or hangs for it, and none goes uncounted."""
    async with shared(redis_server.url) as limits:
        assert await limits.take(ONCE, "ann") is None
        await asyncio.to_thread(redis_server.stop if how == "stopped" else redis_server.pause)
        try:
            async with asyncio.timeout(20):
                waits = [await limits.take(ONCE, "ann") for _ in range(50)]
            assert [wait is None for wait in waits] == [True] + [False] * 49
        finally:
            await asyncio.to_thread(redis_server.start if how == "stopped" else redis_server.resume)


@pytest.fixture(scope="module")
def service(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProcess]:
    extra = {"RATE_LIMIT_KEY": "3", "RATE_LIMIT_ADDRESS": "2", "TRUSTED_PROXIES": "127.0.0.0/8"}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as running:
        yield running


def wait_for_a_minute_that_lasts() -> None:
    """The service's clock is this one; where its minute ends within a test, one more request is let through."""
    wait_until(lambda: time.monotonic() % WINDOW_SECONDS < WINDOW_SECONDS - 10, seconds=WINDOW_SECONDS)


@pytest.fixture
def within_a_minute(service: TokenProcess) -> None:
    wait_for_a_minute_that_lasts()


def strangers_ask(service: TokenProcess, headers: Mapping[str, str], times: int = 1) -> list[int]:
    url = f"{service.url}/livekit/token"
    return [httpx.post(url, json={}, headers=dict(headers), timeout=5).status_code for _ in range(times)]


@pytest.mark.usefixtures("within_a_minute")
def test_answer_says_when_to_come_again_when_a_quota_is_used_up(service: TokenProcess) -> None:
    """429 problem+json with Retry-After and RateLimit; other keys go on."""
    body = {"userId": "u", "userName": "Ann"}
    answers = [service.ask("limited", body, key="viewer") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    wait = int(refused.headers["retry-after"])
    assert 0 < wait <= WINDOW_SECONDS
    assert refused.headers["ratelimit"] == f'"key";r=0;t={wait}'
    assert refused.headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert service.ask("limited", body, key="participant").status_code == 201
    assert service.get("/livez").status_code == 200


@pytest.mark.usefixtures("within_a_minute")
def test_strangers_are_counted_by_address_when_a_trusted_proxy_names_it(service: TokenProcess) -> None:
    """The last one that no trusted proxy wrote; IPv6 by its network; keys are theirs, wherever they come from."""
    assert strangers_ask(service, {"X-Forwarded-For": "203.0.113.7"}, 3) == [401, 401, 429]
    assert strangers_ask(service, {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}) == [429]
    assert strangers_ask(service, {"X-Forwarded-For": "203.0.113.8", "Authorization": "Bearer guess"}, 3)[2] == 429
    assert strangers_ask(service, {"X-Forwarded-For": "2001:db8::1"}, 2) == [401, 401]
    assert strangers_ask(service, {"X-Forwarded-For": "2001:db8::ffff:2"}) == [429]
    assert strangers_ask(service, {"X-Forwarded-For": "2001:db8:0:1::1"}) == [401]
    with_key = {"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {KEYS['admin'][0]}"}
    assert strangers_ask(service, with_key) == [400]


def test_nobody_names_their_own_address_when_no_proxy_is_trusted(
    livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`X-Forwarded-For` from whoever is words."""
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, {"RATE_LIMIT_ADDRESS": "2"}) as service:
        wait_for_a_minute_that_lasts()
        asked = [strangers_ask(service, {"X-Forwarded-For": f"203.0.113.{number}"})[0] for number in range(3)]
    assert asked == [401, 401, 429]
