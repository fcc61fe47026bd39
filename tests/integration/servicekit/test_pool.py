"""Who gets a connection, and who is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import PoolTimeout, TooManyRequests

from meetai_servicekit.postgres import Pool, create_pool


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    """Two connections, and one more caller who may wait."""
    pool = create_pool(postgres_url, schema="public", min_size=2, max_size=2, application="test", max_waiting=1)
    async with pool:
        await pool.wait(timeout=30)
        yield pool


async def ask(pool: Pool, seconds: float = 30) -> None:
    async with pool.connection(timeout=seconds) as connection:
        await connection.execute("SELECT 1")


async def test_one_more_is_refused_when_as_many_as_may_are_there(pool: Pool) -> None:
    """At once; and who waited gets the next that is free."""
    async with pool.connection():
        async with pool.connection():
            waiting = asyncio.create_task(ask(pool))
            await asyncio.sleep(0)
            with pytest.raises(TooManyRequests):
                await ask(pool)
        await waiting


async def test_others_are_served_when_one_holds_on_after_all_were_busy(pool: Pool) -> None:
    """A wait that was too long says that there was none to be had, not that there is none: those that come back are for everybody."""
    async with pool.connection():
        async with pool.connection():
            with pytest.raises(PoolTimeout):
                await ask(pool, seconds=0.05)
        for _ in range(3):
            await ask(pool)


async def test_one_at_a_time_asks_when_none_was_to_be_had(pool: Pool) -> None:
    async with pool.connection():
        async with pool.connection():
            with pytest.raises(PoolTimeout):
                await ask(pool, seconds=0.05)
            waiting = asyncio.create_task(ask(pool))
            await asyncio.sleep(0)
            with pytest.raises(TooManyRequests):
                await ask(pool)
        await waiting
