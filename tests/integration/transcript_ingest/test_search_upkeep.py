"""How the search index is kept: nothing is skipped, nothing stays that is gone, and nobody is kept waiting."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from tests.integration.transcript_ingest.indexing import ANYWHERE, entries, found, index_all, said, store, texts
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import eventually

from meetai_servicekit.postgres import Pool, create_pool
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_erasures import PostgresErasures
from meetai_transcript_ingest.adapters.postgres_search import PostgresSearchIndex
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.errors import TooSlowError, TryLaterError
from meetai_transcript_ingest.domain.search import Findings, SearchFilter


async def test_late_commit_is_indexed_when_others_overtook_it(pool: Pool, index: PostgresSearchIndex) -> None:
    """A transaction that began first, took its positions first, and commits last, in its own meeting and beside others."""
    slow, other = Producer("slow"), Producer("fast")
    async with pool.connection() as connection:
        await PostgresLineStore(pool).write(connection, said(slow, ("slow plan", None)), ())
        waiting = asyncio.create_task(store(pool, Producer("slow"), "plan behind"))
        await store(pool, other, "fast plan")
        await index_all(index)
        assert await texts(index, "plan") == ["fast plan"]
        through = (await index.search('"plan"', ANYWHERE, None, 1)).indexed_through
    await waiting
    async with pool.connection() as connection:
        behind = (await (await connection.execute("SELECT min(queued_at) FROM search_due")).fetchone() or (None,))[0]
    assert behind is not None
    assert behind < through
    assert (await index.backlog()).lines == 2
    await index_all(index)
    assert sorted(await texts(index, "plan")) == ["fast plan", "plan behind", "slow plan"]


async def test_nothing_is_skipped_when_an_indexer_is_killed(
    pool: Pool, index: PostgresSearchIndex, database_url: str
) -> None:
    """What it had taken is free again, and is taken once."""
    await store(pool, Producer(), *["plan"] * 10)
    killed = psycopg.connect(database_url, options=f"-c search_path={SCHEMA}")
    assert killed.execute("SELECT index_due_lines(100)").fetchone() == (10,)
    assert await index.index_some(100) == 0
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", [killed.info.backend_pid])
    await eventually(lambda: index.index_some(100), seconds=10)
    assert len(await found(index, "plan")) == 10
    assert (await index.backlog()).lines == 0
    killed.close()


async def test_index_says_how_far_it_is_behind_when_lines_wait(pool: Pool, index: PostgresSearchIndex) -> None:
    """In lines and seconds, and with every answer; of the meeting alone where one is asked for."""
    await store(pool, Producer("one"), *["plan"] * 7)
    backlog = await index.backlog()
    assert backlog.lines == 7
    assert 0 < backlog.oldest_seconds < 60
    everywhere = await index.search('"plan"', ANYWHERE, None, 10)
    elsewhere = await index.search('"plan"', SearchFilter(meeting_id="two"), None, 10)
    assert everywhere.indexed_through < elsewhere.indexed_through
    assert datetime.now(UTC) - elsewhere.indexed_through < timedelta(minutes=1)
    assert await index.index_some(3) == 3
    assert (await index.backlog()).lines == 4
    assert len(await found(index, "plan")) == 3
    await index_all(index)
    assert (await index.backlog()).lines == 0
    assert (await index.search('"plan"', ANYWHERE, None, 10)).indexed_through > everywhere.indexed_through


async def test_work_is_shared_when_many_index_at_once(pool: Pool, index: PostgresSearchIndex) -> None:
    """Each line once, while lines come and a meeting is big."""
    producers = [Producer(f"meeting {number}") for number in range(5)]
    writing = True

    async def write(producer: Producer) -> None:
        for _ in range(20):
            await store(pool, producer, *["plan"] * 10)

    async def follow() -> None:
        while await index.index_some(25) or writing:  # noqa: ASYNC110 - it works, it doesn't wait
            await asyncio.sleep(0)  # let the writers in

    following = [asyncio.create_task(follow()) for _ in range(2)]
    await asyncio.gather(*map(write, producers))
    writing = False
    async with asyncio.timeout(30):
        await asyncio.gather(*following)
        await index_all(index)
    assert await entries(pool) == 1_000


async def erase(pool: Pool, meeting_id: str) -> None:
    erasures = PostgresErasures(pool)
    await erasures.request(meeting_id, actor="test")
    while await erasures.erase_some(meeting_id):
        pass


async def test_words_are_gone_when_their_meeting_is_erased(pool: Pool, index: PostgresSearchIndex) -> None:
    """Not found from the request on; nothing of it is in the index when the erasure has ended."""
    await store(pool, Producer("kept"), "secret plan")
    await store(pool, Producer("erased"), "secret plan")
    await index_all(index)
    await PostgresErasures(pool).request("erased", actor="test")
    assert [each.meeting_id for each in await found(index, "secret")] == ["kept"]
    await erase(pool, "erased")
    assert [each.meeting_id for each in await found(index, "secret")] == ["kept"]
    await index_all(index)
    assert await entries(pool) == 1


async def test_words_are_gone_when_their_meeting_is_erased_while_it_is_indexed(
    pool: Pool, index: PostgresSearchIndex, database_url: str
) -> None:
    """The erasure waits for an entry that is being made; an indexer that comes meanwhile leaves the meeting alone."""
    await store(pool, Producer("erased"), *["secret plan"] * 3)
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}") as indexer:
        assert indexer.execute("SELECT index_due_lines(100)").fetchone() == (3,)
        erasing = asyncio.create_task(erase(pool, "erased"))
        await eventually(lambda: _waits_for_a_lock(pool), seconds=10)
        indexer.commit()
    async with asyncio.timeout(20):
        await erasing
    await index_all(index)
    assert await entries(pool) == 0

    await store(pool, Producer("dropped"), *["secret plan"] * 3)
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}") as eraser:
        eraser.execute("DELETE FROM lines WHERE meeting_id = 'dropped'")
        assert await index.index_some(100) == 0
        eraser.commit()
    await index_all(index)
    assert await entries(pool) == 0
    assert (await index.backlog()).lines == 0


async def _waits_for_a_lock(pool: Pool) -> bool:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        )
        return await cursor.fetchone() == (1,)


async def test_entries_are_swept_when_the_retention_drops_their_lines(pool: Pool, index: PostgresSearchIndex) -> None:
    """Never shown once the lines are gone, removed a little later; what has no day of its own stays."""
    old_ms = int((datetime.now(UTC) - timedelta(days=40)).timestamp() * 1000)
    day = datetime.fromtimestamp(old_ms / 1000, UTC).date()
    await PostgresLineStore(pool).prepare_partitions(day, 1)
    await store(pool, Producer("old", producer_id=uuid7(old_ms)), *["plan"] * 5)
    await store(pool, Producer("odd", producer_id=uuid.uuid4()), "plan")
    await store(pool, Producer("new"), "plan")
    await index_all(index)
    assert await index.sweep_some(3) == 0
    await _drop_partition(pool, day)
    assert sorted(each.meeting_id for each in await found(index, "plan")) == ["new", "odd"]
    assert [await index.sweep_some(3) for _ in range(3)] == [3, 2, 0]
    assert await entries(pool) == 2


async def _drop_partition(pool: Pool, day: date) -> None:
    async with pool.connection() as connection:
        await connection.execute(f"DROP TABLE lines_{day:%Y%m%d}".encode())


async def test_search_is_given_up_when_it_takes_too_long(pool: Pool, index: PostgresSearchIndex) -> None:
    """Its statement ends at its own limit, and the connection serves the next one."""
    await store(pool, Producer(), *["plan"] * 10)
    await index_all(index)
    impatient = PostgresSearchIndex(pool, pool, timeout_ms=1_000)
    async with pool.connection() as connection:
        await connection.execute("LOCK TABLE search_lines IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TooSlowError):
            await found(impatient, "plan")
    assert len(await found(impatient, "plan")) == 10


async def test_search_is_refused_when_too_many_are_waiting(database_url: str, pool: Pool) -> None:
    """Two at a time, a few in the queue, the others at once: heavy queries can't pile up."""
    narrow = create_pool(database_url, schema=SCHEMA, min_size=0, max_size=1, application="narrow", max_waiting=1)
    async with narrow, pool.connection() as holder:
        index = PostgresSearchIndex(narrow, pool, timeout_ms=1_500)
        await holder.execute("LOCK TABLE search_lines IN ACCESS EXCLUSIVE MODE")
        searches = [asyncio.create_task(index.search('"plan"', ANYWHERE, None, 10)) for _ in range(5)]
        outcomes = await asyncio.gather(*searches, return_exceptions=True)
    assert all(isinstance(outcome, TryLaterError) for outcome in outcomes)
    assert sum(isinstance(outcome, TooSlowError) for outcome in outcomes) in {1, 2}
    assert not any(isinstance(outcome, Findings) for outcome in outcomes)
