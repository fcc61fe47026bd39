"""Positions: whoever has read up to one has missed nothing, whoever writes beside it, also a replica of the version before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from tests.unit.transcript_ingest.fakes import FakeStore
from tests.unit.transcript_ingest.producing import Producer, uuid7

from meetai_contracts.transcript import BATCH_FIELD
from meetai_servicekit.postgres import Pool, create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters import postgres_archive
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.adapters.postgres_upgrade import PostgresUpgrade
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import Parcel
from meetai_transcript_ingest.domain.tail import PlacedLine
from meetai_transcript_ingest.ports import Archive, LineStore

OLD_COPY = """
COPY lines (
    producer_started, producer_id, meeting_id, room_sid, seq, speaker_identity, speaker_name, speaker_kind,
    text, started_ms, ended_ms, language, confidence, interrupted
) FROM STDIN
"""
OLD_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_lines (position integer, LIKE lines INCLUDING DEFAULTS)
ON COMMIT DELETE ROWS
"""
OLD_DECLARE = """
INSERT INTO producers (producer_id, producer_started, meeting_id, room_sid, declared)
VALUES (%s, (now() AT TIME ZONE 'UTC')::date, %s, 'RM_1', 1) ON CONFLICT (producer_id) DO UPDATE SET declared = 9
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with create_pool(database_url, schema=SCHEMA, min_size=1, max_size=8, application="order") as opened:
        yield opened


def parcels(*entries: bytes) -> list[Parcel]:
    arrivals = [Arrival("stream", "1-1", {BATCH_FIELD.encode(): entry}) for entry in entries]
    return [parcel for arrival in arrivals for parcel in unpack(arrival).parcels]


def as_the_version_before(connection: psycopg.Connection, producer: Producer, count: int) -> None:
    """Write as 0001 did: without a position."""
    producer.say(count)
    connection.execute(OLD_DECLARE, [producer.producer_id, producer.meeting_id])
    day = datetime.now(UTC).date()
    with connection.cursor() as cursor, cursor.copy(OLD_COPY) as copy:
        for line in producer.said[-count:]:
            row = (
                f"{day}\t{producer.producer_id}\t{producer.meeting_id}\tRM_1\t{line.seq}\tada\tAda\thuman\t{line.text}"
                f"\t{line.started_ms}\t{line.ended_ms}\t\\N\t\\N\tf\n"
            )
            copy.write(row)


async def test_positions_follow_the_commits_when_meetings_share_a_write(pool: Pool) -> None:
    """From 1 in each meeting, in the order written; a read goes on after any of them, in the fake as well."""
    fake = FakeStore()
    pairs: list[tuple[LineStore, Archive]] = [(fake, fake), (PostgresLineStore(pool), PostgresArchive(pool))]
    for store, archive in pairs:
        assert (await archive.version("one")).position == 0
        assert await archive.lines_since("one", 0, 10) == ()
        one, two = Producer("one"), Producer("two")
        await store.commit(parcels(one.open(), one.say(2), two.say(3), one.say(1)), ())
        early = Producer("one", from_ms=-60_000)
        await store.commit(parcels(early.say(2), two.close()), ())
        everything = await archive.lines_since("one", 0, 10)
        assert [placed.position for placed in everything] == [1, 2, 3, 4, 5]
        assert [placed.line.id for placed in everything] == [line.id for line in one.said + early.said]
        assert ((await archive.version("one")).position, (await archive.version("two")).position) == (5, 3)
        for index, placed in enumerate(everything):
            assert await archive.lines_since("one", placed.position, 2) == everything[index + 1 : index + 3]


async def test_lines_keep_their_positions_when_entries_come_again(pool: Pool) -> None:
    """A duplicate gets none of its own; what is new beside it comes after."""
    store, archive = PostgresLineStore(pool), PostgresArchive(pool)
    producer = Producer("one")
    first, second = producer.say(2), producer.say(2)
    await store.commit(parcels(first), ())
    await store.commit(parcels(first, second), ())
    await store.commit(parcels(second, first), ())
    placed = await archive.lines_since("one", 0, 10)
    assert [each.line.seq for each in placed] == [1, 2, 3, 4]
    assert [each.position for each in placed][:2] == [1, 2]
    assert (await archive.version("one")).position >= placed[-1].position


async def test_reader_misses_nothing_when_writers_of_one_meeting_overlap(pool: Pool) -> None:
    """Four producers commit at once, some with entries that come again; a reader that follows by position sees each line once."""
    archive = PostgresArchive(pool)
    producers = [Producer("busy") for _ in range(4)]
    writing = True
    seen: list[PlacedLine] = []

    async def write(producer: Producer) -> None:
        store = PostgresLineStore(pool)
        before: list[bytes] = []
        for turn in range(40):
            entry = producer.say(3)
            await store.commit(parcels(*before, entry), ())
            before = [entry] if turn % 5 == 0 else []

    async def follow() -> None:
        while True:
            was_writing = writing
            lines = await archive.lines_since("busy", seen[-1].position if seen else 0, 7)
            seen.extend(lines)
            if not lines and not was_writing:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(producer) for producer in producers))
    writing = False
    async with asyncio.timeout(20):
        await following
    said = {line.id for producer in producers for line in producer.said}
    assert len(seen) == len(said)
    assert {placed.line.id for placed in seen} == said


async def test_reader_misses_nothing_when_a_new_day_is_committed_while_it_reads(
    database_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The days are one statement and their lines another: both see the same commits, through a pool as the service's."""
    store = PostgresLineStore(pool)
    today = datetime.now(UTC)
    await store.prepare_partitions(today.date() - timedelta(days=2), 5)
    later, earlier = (
        Producer("midnight", producer_id=uuid7(int((today - timedelta(days=days)).timestamp() * 1000)))
        for days in (0, 1)
    )
    await store.commit(parcels(earlier.say(1)), ())
    days_of = postgres_archive._days

    async def days_then_commits(connection: AsyncConnection[TupleRow], meeting_id: str) -> dict[str, object] | None:
        days = await days_of(connection, meeting_id)
        await store.commit(parcels(later.say(2)), ())
        await store.commit(parcels(earlier.say(1)), ())
        return days

    async with create_pool(
        database_url, schema=SCHEMA, min_size=1, max_size=1, application="read", one_snapshot=True
    ) as readers:
        archive = PostgresArchive(readers)
        with monkeypatch.context() as patched:
            patched.setattr(postgres_archive, "_days", days_then_commits)
            seen = await archive.lines_since("midnight", 0, 10)
        seen += await archive.lines_since("midnight", seen[-1].position, 10)
    assert [placed.position for placed in seen] == [1, 2, 3, 4]


async def test_writers_do_not_deadlock_when_they_share_producers_and_meetings(pool: Pool) -> None:
    """Two replicas on one shard write lines of the same jobs at once: all lock producers first and meetings then, in one order."""
    producers = [Producer(f"meeting {number % 7} é") for number in range(20)]

    async def write(seed: int) -> None:
        store, order = PostgresLineStore(pool), random.Random(seed)
        for _ in range(60):
            chosen = order.sample(producers, 5)
            await store.commit(parcels(*(producer.say(1) for producer in chosen)), ())

    async with asyncio.timeout(30):
        await asyncio.gather(*(write(seed) for seed in range(4)))


async def test_old_lines_get_positions_when_a_replica_of_the_version_before_writes(
    pool: Pool, database_url: str
) -> None:
    """It can go on writing; what it stores is seen by page readers at once, and by followers after the next round, once."""
    store, archive = PostgresLineStore(pool), PostgresArchive(pool)
    new, old = Producer("mixed"), Producer("mixed", from_ms=500)
    await store.commit(parcels(new.say(3)), ())
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}") as connection:
        as_the_version_before(connection, old, 5)
        connection.execute(OLD_STAGING)
        connection.commit()
    assert len(await archive.lines_after("mixed", None, 100)) == 8
    seen = list(await archive.lines_since("mixed", 0, 100))
    assert len(seen) == 3
    await store.commit(parcels(new.say(2)), ())
    upgrades = [PostgresUpgrade(pool, batch_lines=2) for _ in range(3)]
    assert sum(await asyncio.gather(*(upgrade.place_lines() for upgrade in upgrades))) == 5
    seen += await archive.lines_since("mixed", seen[-1].position, 100)
    assert [placed.position for placed in seen] == list(range(1, 11))
    assert {placed.line.id for placed in seen} == {line.id for line in new.said + old.said}
    assert (await archive.version("mixed")).position == 10
    assert await upgrades[0].place_lines() == 0
