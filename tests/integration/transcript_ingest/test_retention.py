"""What is older than the retention is gone, and what is left is judged as if it had never been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.unit.transcript_ingest.fakes import FakeObserver
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import wait_until

from meetai_contracts.summary import MeetingSummary
from meetai_contracts.transcript import BATCH_FIELD, encode_batch
from meetai_servicekit.postgres import Pool, create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_outbox import PostgresOutbox
from meetai_transcript_ingest.adapters.postgres_retention import PostgresRetention
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.adapters.postgres_summaries import PostgresSummaries
from meetai_transcript_ingest.domain.errors import OtherProducersError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel
from meetai_transcript_ingest.domain.proof import prove
from meetai_transcript_ingest.upkeep import EXPIRY_RETRY_SECONDS
from meetai_transcript_ingest.usecases.expire import ExpireTranscripts

NOW = datetime(2031, 5, 20, 12, tzinfo=UTC)
DAYS = 7
WAIT_SECONDS = 15


class Clocked(PostgresRetention):
    """The real one, by a clock that the test sets."""

    def __init__(self, pool: Pool, now: datetime) -> None:
        super().__init__(pool)
        self._now = now

    async def now(self) -> datetime:
        return self._now


class Desk:
    """A database, and its retention as of `NOW`."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.store = PostgresLineStore(pool)
        self.archive = PostgresArchive(pool)
        self.observer = FakeObserver()

    async def expire(self, now: datetime = NOW, store_now: datetime | None = None) -> int:
        """By the replica's clock and the store's, which tell the same unless the test says otherwise."""
        retention = Clocked(self.pool, store_now or now)
        return await ExpireTranscripts(retention, days=DAYS, observer=self.observer, now=lambda: now)()

    async def bring(self, *entries: bytes, letters: tuple[DeadLetter, ...] = ()) -> None:
        await self.store.commit(parcels(*entries), letters)

    async def count(self, table: str) -> int:
        async with self.pool.connection() as connection:
            row = await (await connection.execute(f"SELECT count(*)::int FROM {table}".encode())).fetchone()
        assert row is not None
        return int(row[0])

    async def verdict(self, meeting_id: str) -> str:
        return prove(meeting_id, await self.archive.producers(meeting_id)).verdict


def parcels(*entries: bytes) -> list[Parcel]:
    arrivals = [Arrival("stream", "1-1", {BATCH_FIELD.encode(): entry}) for entry in entries]
    return [parcel for arrival in arrivals for parcel in unpack(arrival).parcels]


def started(days_ago: int, meeting_id: str = "standup", room_sid: str = "RM_1") -> Producer:
    """An agent that started so many days before `NOW`."""
    at = NOW - timedelta(days=days_ago)
    return Producer(meeting_id, room_sid=room_sid, producer_id=uuid7(int(at.timestamp() * 1000)))


@pytest.fixture
async def desk(module_database_url: str) -> AsyncIterator[Desk]:
    async with create_pool(module_database_url, schema=SCHEMA, min_size=1, max_size=5, application="suite") as pool:
        async with pool.connection() as connection:
            await connection.execute(
                "TRUNCATE lines, producers, dead_letters, audit, outbox, meetings, erasures, summaries, room_endings"
            )
        desk = Desk(pool)
        await desk.store.prepare_partitions(NOW.date() - timedelta(days=DAYS + 3), DAYS + 4)
        yield desk


async def test_summary_is_dropped_when_its_oldest_lines_are(desk: Desk) -> None:
    """And a late one of such lines isn't stored; one without lines counts from the day on which it was written."""
    old, kept = started(DAYS + 1, "both", "RM_old"), started(DAYS, "both", "RM_kept")
    alone = started(DAYS, "kept", "RM_alone")
    await desk.bring(old.say(1), kept.say(1), alone.say(1))
    of_both = MeetingSummary("Hello.", "test", (old.producer_id, kept.producer_id))
    of_kept = MeetingSummary("Hello.", "test", (alone.producer_id,))
    summaries = PostgresSummaries(desk.pool, desk.pool)
    for meeting_id, summary in (("both", of_both), ("kept", of_kept), ("silent", MeetingSummary("-", "test", ()))):
        await summaries.put(meeting_id, summary)
    assert await desk.expire() == 1
    assert desk.observer.gone["summaries"] == 2
    assert (await summaries.get("both"), await summaries.get("silent")) == (None, None)
    assert await summaries.get("kept") is not None
    with pytest.raises(OtherProducersError):
        await summaries.put("both", of_both)


async def test_day_is_dropped_when_it_is_older_than_the_retention(desk: Desk) -> None:
    """With its producers and their letters; the first day that is kept is kept whole. A second round has nothing to do."""
    old, kept = started(DAYS + 1, "old", "RM_old"), started(DAYS, "kept", "RM_kept")
    letter = DeadLetter("s", "1", "refused", "why", b"x", "old", old.producer_id, 3)
    await desk.bring(old.say(2), old.close(), kept.say(2), kept.close(), letters=(letter,))
    assert await desk.expire() == 1
    assert await desk.archive.lines_after("old", None, 9) == ()
    assert await desk.verdict("old") == "unproven"
    assert [line.text for line in await desk.archive.lines_after("kept", None, 9)] == [line.text for line in kept.said]
    assert await desk.verdict("kept") == "complete"
    assert (await desk.count("producers"), await desk.count("dead_letters")) == (1, 0)
    assert desk.observer.gone["partitions"] >= 1
    desk.observer.gone.clear()
    assert await desk.expire() == 1
    assert desk.observer.gone == {}


@pytest.mark.parametrize("ahead", ["replica", "store"])
async def test_nothing_goes_early_when_a_clock_runs_ahead(desk: Desk, ahead: str) -> None:
    """The earlier of the two clocks decides; when it has caught up, the day goes."""
    kept = started(DAYS, "kept", "RM_kept")
    await desk.bring(kept.open(), kept.say(2), kept.close())
    later = NOW + timedelta(days=400)
    assert await (desk.expire(later, NOW) if ahead == "replica" else desk.expire(NOW, later)) == 1
    assert await desk.verdict("kept") == "complete"
    assert len(await desk.archive.lines_after("kept", None, 9)) == 2
    await desk.expire(later, NOW + timedelta(days=1))
    assert await desk.count("lines") == 0


async def test_store_tells_its_time(desk: Desk) -> None:
    """PostgreSQL's, with its zone."""
    earliest = datetime.now(UTC) - timedelta(minutes=5)
    assert earliest < await PostgresRetention(desk.pool).now() < earliest + timedelta(minutes=10)


async def test_rest_is_judged_alone_when_a_meeting_has_lost_its_first_day(desk: Desk) -> None:
    """Neither incomplete for what is forgotten, nor open for a producer that nobody knows any more."""
    first, second = started(DAYS + 2), started(1)
    await desk.bring(first.open(), first.say(3), second.say(2), second.close())
    assert await desk.verdict("standup") == "unproven"
    version = await desk.archive.version("standup")
    await desk.expire()
    assert await desk.archive.version("standup") != version, "a client must not keep what is forgotten"
    assert await desk.verdict("standup") == "complete"
    assert len(await desk.archive.lines_after("standup", None, 9)) == 2


async def test_version_is_another_when_one_agent_expires_and_another_has_come(desk: Desk) -> None:
    """As many as before, and no line yet: a client must not keep what is forgotten."""
    await desk.bring(started(DAYS + 2).say(3))
    version = await desk.archive.version("standup")
    await desk.bring(started(0).open())
    await desk.expire()
    assert await desk.count("producers") == 1
    assert await desk.archive.version("standup") != version


async def test_late_batch_is_forgotten_when_its_day_is_gone_already(desk: Desk) -> None:
    """It goes to the default partition, and from there in the next round, with its producer."""
    old = started(DAYS + 2)
    await desk.expire()
    await desk.bring(old.say(3))
    assert await desk.count("lines_default") == 3
    await desk.expire()
    assert (await desk.count("lines"), await desk.count("producers")) == (0, 0)
    assert await desk.verdict("standup") == "unproven"


async def test_line_of_a_producer_without_a_day_is_kept_as_long_as_others(desk: Desk) -> None:
    """By when it was stored, since its id tells nothing."""
    undated = Producer(producer_id=uuid4())
    await desk.bring(undated.open(), undated.say(2), undated.close())
    today = datetime.now(UTC)
    await desk.expire(today + timedelta(days=DAYS))
    assert await desk.count("lines_default") == 2
    await desk.expire(today + timedelta(days=DAYS + 2))
    assert (await desk.count("lines_default"), await desk.count("producers")) == (0, 0)


async def test_other_rows_go_when_they_are_old(desk: Desk) -> None:
    """Letters by when they died, events once they are sent and their room is forgotten; what isn't sent stays."""
    sent, unsent = started(0, "m1", "RM_sent"), started(0, "m2", "RM_unsent")
    await desk.bring(sent.say(1), sent.close(), unsent.say(1), unsent.close())
    await desk.store.commit((), [DeadLetter("s", "9-9", "malformed", "why", encode_batch(sent.batch(sent.line())))])
    outbox = PostgresOutbox(desk.pool)
    assert await outbox.complete_quiet_rooms(quiet_seconds=0, limit=9) == 2
    await outbox.mark_sent(["meetai-transcript.completed-RM_sent"])
    await desk.expire(NOW + timedelta(days=DAYS + 2))
    assert await desk.count("outbox WHERE sent_at IS NULL") == 1
    assert (await desk.count("outbox"), await desk.count("dead_letters"), await desk.count("lines")) == (1, 0, 0)


async def test_writers_wait_a_moment_at_most_when_a_reader_is_in_the_way(desk: Desk) -> None:
    """The drop gives up, is told apart from a failure, and is done in a later round."""
    old, fresh = started(DAYS + 1), started(0, "fresh", "RM_fresh")
    await desk.bring(old.say(1))
    async with desk.pool.connection() as reader:
        await reader.execute("SELECT count(*) FROM lines")
        expiring = asyncio.create_task(desk.expire())
        async with asyncio.timeout(8):  # without a limit of its own the drop would wait for 10 s
            while not expiring.done():
                await desk.bring(fresh.say(1))
        assert await expiring == 0
        assert await desk.count("producers") == 2
    assert await desk.expire() == 1
    assert await desk.count("producers") == 1


async def test_everything_is_forgotten_once_when_replicas_expire_at_once(desk: Desk) -> None:
    """None fails; those that come second find nothing to do or somebody in the way."""
    producers = [started(DAYS + 1 + number % 3, f"m{number}", f"RM_{number}") for number in range(30)]
    await desk.bring(*[entry for producer in producers for entry in (producer.say(3), producer.close())])
    await asyncio.gather(*[desk.expire() for _ in range(3)])
    await desk.expire()
    assert (await desk.count("lines"), await desk.count("producers")) == (0, 0)


def test_service_forgets_by_itself_when_retention_is_set(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """And makes the partitions ahead all the same."""
    with psycopg.connect(database_url, autocommit=True, options="-c search_path=transcript_ingest") as database:
        database.execute("SELECT prepare_line_partitions('2020-02-02', 1)")
        with ingest(tmp_path, database_url, redis_url, extra={"RETENTION_DAYS": "30"}) as replica:
            wait_until(
                lambda: database.execute("SELECT to_regclass('lines_20200202')").fetchone() == (None,),
                seconds=WAIT_SECONDS + EXPIRY_RETRY_SECONDS,  # should making the partitions take long just then
            )
            wait_until(lambda: replica.metric("meetai_ingest_expired_total") == 1, seconds=WAIT_SECONDS)
            today = database.execute("SELECT to_regclass('lines_' || to_char(now(), 'YYYYMMDD'))").fetchone()
            assert today != (None,)
