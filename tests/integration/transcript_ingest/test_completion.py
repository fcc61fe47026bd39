"""`meetai/transcript.completed`: once a room sid, when it has been quiet, and on the events stream at least once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import eventually, wait_until

from meetai_contracts.codec import decode_json
from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM, MAX_EVENT_BYTES, DomainEvent, TranscriptCompleted
from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key
from meetai_servicekit.postgres import Pool, create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_dead_letters import PostgresDeadLetters
from meetai_transcript_ingest.adapters.postgres_outbox import PostgresOutbox, note_endings
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.letters import LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel

WAIT_SECONDS = 15


@pytest.fixture
async def pool(module_database_url: str) -> AsyncIterator[Pool]:
    async with create_pool(module_database_url, schema=SCHEMA, min_size=1, max_size=4, application="suite") as pool:
        async with pool.connection() as connection:
            await connection.execute(
                "TRUNCATE lines, producers, dead_letters, audit, outbox, meetings, erasures, room_endings"
            )
        yield pool


def parcels(*entries: bytes) -> list[Parcel]:
    arrivals = [Arrival("stream", "1-1", {BATCH_FIELD.encode(): entry}) for entry in entries]
    return [parcel for arrival in arrivals for parcel in unpack(arrival).parcels]


async def told(pool: Pool, *, quiet_seconds: float = 0.0) -> list[TranscriptCompleted]:
    """What is decided when rooms have been quiet for so long, and not yet published. Claimed for no time."""
    await PostgresOutbox(pool).complete_quiet_rooms(quiet_seconds=quiet_seconds, limit=100)
    events = await PostgresOutbox(pool).claim(limit=100, lease_seconds=0)
    return [msgspec.convert(event.data, TranscriptCompleted) for event in events]


async def test_completion_is_told_once_when_all_producers_are_closed_and_stored(pool: Pool) -> None:
    """Not before, and not again when an entry is delivered again or another producer opens later."""
    store = PostgresLineStore(pool)
    one, other = Producer(), Producer()
    said = [one.open(), other.open(), one.say(3), one.close(), other.say(2)]
    for entry in said:
        await store.commit(parcels(entry), ())
        assert await told(pool) == []
    end = other.close()
    await store.commit(parcels(end), ())
    for entry in (end, said[2], end):
        await store.commit(parcels(entry), ())
    (completed,) = await told(pool)
    assert (completed.meeting_id, completed.room_sid, completed.lines) == ("standup", "RM_1", 5)
    late = Producer()
    for entry in (late.open(), late.say(1), late.close()):
        await store.commit(parcels(entry), ())
    assert [completed.lines for completed in await told(pool)] == [5]


async def test_completion_waits_when_lines_come_after_the_end(pool: Pool) -> None:
    """The close may overtake what it closes; the room is complete with the last of its lines."""
    store = PostgresLineStore(pool)
    producer = Producer()
    first, second = producer.say(2), producer.say(2)
    await store.commit(parcels(producer.close(), second), ())
    assert await told(pool) == []
    await store.commit(parcels(first), ())
    assert [completed.lines for completed in await told(pool)] == [4]


async def test_completion_is_not_told_when_a_line_is_missing(pool: Pool) -> None:
    """What the agent itself has lost is missing too."""
    store = PostgresLineStore(pool)
    producer = Producer()
    await store.commit(parcels(producer.say(2), producer.lose(1), producer.close()), ())
    assert await told(pool) == []


@pytest.mark.parametrize("way", ["redriven", "discarded"])
async def test_completion_is_told_when_the_last_dead_letter_is_settled(pool: Pool, way: str) -> None:
    """By a redrive that stores it, or by discarding what only repeats a line that is there."""
    store = PostgresLineStore(pool)
    letters = PostgresDeadLetters(pool, store)
    producer = Producer()
    first, second = producer.line(), producer.line()
    payload = encode_batch(producer.batch(second))
    stored = [encode_batch(producer.batch(first))] + ([payload] if way == "discarded" else [])
    letter = DeadLetter("stream", "7-7", "refused", "why", payload, "standup", producer.producer_id, 2)
    await store.commit(parcels(*stored, producer.close()), [letter])
    assert await told(pool) == []
    (summary,) = await letters.page(LetterFilter(), before=None, limit=9)
    if way == "redriven":
        kept = await letters.get(summary.id)
        assert (await letters.rewrite(kept, parcels(payload), ())).removed
    else:
        await letters.discard(summary.id, actor="me")
    assert [completed.lines for completed in await told(pool)] == [2]


async def test_completion_waits_until_the_room_has_been_quiet(pool: Pool) -> None:
    """A killed agent is closed by whoever finds its spool; its successor opens soon after, and the event is about both."""
    store = PostgresLineStore(pool)
    killed, successor = Producer(), Producer()
    await store.commit(parcels(killed.open(), killed.say(2), killed.close()), ())
    assert await told(pool, quiet_seconds=60) == []
    await store.commit(parcels(successor.open()), ())
    assert await told(pool) == []
    await store.commit(parcels(successor.say(3)), ())
    assert await told(pool) == []
    await store.commit(parcels(successor.close()), ())
    assert await told(pool, quiet_seconds=60) == []
    assert [completed.lines for completed in await told(pool)] == [5]


async def test_completion_is_told_when_the_last_piece_is_committed_while_somebody_looks(pool: Pool) -> None:
    """Whoever comes first, the other sees it: a look leaves out what is being committed, a commit waits for a look."""
    store = PostgresLineStore(pool)
    one, other = Producer(), Producer()
    await store.commit(parcels(one.open(), other.open(), one.say(2), other.say(2), one.close()), ())
    async with pool.connection() as committing:
        written = await store.write(committing, parcels(other.close()), ())
        await note_endings(committing, written.rooms)
        assert await told(pool) == []
    async with pool.connection() as looking:
        await looking.execute("DELETE FROM room_endings")
        racing = asyncio.create_task(store.commit(parcels(other.say(1), other.close()), ()))
        await eventually(lambda: _waits_for_a_lock(pool), seconds=WAIT_SECONDS)
        assert not racing.done()
    await racing
    assert [completed.lines for completed in await told(pool)] == [5]


async def _waits_for_a_lock(pool: Pool) -> bool:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return await cursor.fetchone() is not None


async def test_every_room_is_told_once_when_many_end_in_concurrent_commits(pool: Pool) -> None:
    """Forty rooms of three producers, whose last pieces come in any order over four connections."""
    store = PostgresLineStore(pool)
    producers = [
        Producer(f"m{room}", room_sid=f"RM_{room}", producer_id=uuid7()) for room in range(40) for _ in range(3)
    ]
    await store.commit(parcels(*[producer.open() for producer in producers]), ())
    pieces = [piece for producer in producers for piece in (producer.say(2), producer.close())]

    async def bring(mine: list[bytes]) -> None:
        for piece in mine:
            await store.commit(parcels(piece), ())

    await asyncio.gather(*[bring(pieces[start::4]) for start in range(4)])
    completed = await told(pool)
    assert sorted(one.room_sid for one in completed) == sorted(f"RM_{room}" for room in range(40))
    assert {one.lines for one in completed} == {6}


async def test_event_is_claimed_by_one_when_two_look(pool: Pool) -> None:
    """Until the lease ends; marked sent, it is never claimed again, and the room is not told of again."""
    store, outbox = PostgresLineStore(pool), PostgresOutbox(pool)
    producer = Producer()
    end = producer.close()
    await store.commit(parcels(producer.say(1), end), ())
    looks = await asyncio.gather(*[outbox.complete_quiet_rooms(quiet_seconds=0, limit=9) for _ in range(2)])
    assert sorted(looks) == [0, 1]
    assert (await outbox.unsent()).count == 1
    claims = await asyncio.gather(*[outbox.claim(limit=9, lease_seconds=60) for _ in range(2)])
    assert sorted(len(claim) for claim in claims) == [0, 1]
    await outbox.mark_sent([event.id for claim in claims for event in claim])
    await store.commit(parcels(end), ())
    assert await told(pool) == []
    assert (await outbox.unsent()).count == 0


def published(client: redis.Redis) -> list[DomainEvent]:
    entries: Any = client.xrange(EVENTS_STREAM)
    return [decode_json(fields[EVENT_FIELD.encode()], DomainEvent, max_bytes=MAX_EVENT_BYTES) for _, fields in entries]


def test_event_is_published_when_the_service_was_killed_before_it_could(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Decided by a process that is killed with the stream still silent; the next one tells it, under the one id."""
    with redis.Redis.from_url(redis_url) as client, ingest(tmp_path, database_url, redis_url) as replica:
        client.set(EVENTS_STREAM, "in the way")  # XADD fails for as long as this is here
        producer = Producer("killed", room_sid="RM_killed")
        for entry in (producer.open(), producer.say(3), producer.close()):
            client.xadd(stream_key(0), {BATCH_FIELD: entry})
        wait_until(
            lambda: 'meetai_ingest_postponed_total{what="publish"}' in replica.get("/metrics").text,
            seconds=WAIT_SECONDS,
        )
        replica.kill()
        client.delete(EVENTS_STREAM)
        replica.restart()
        wait_until(lambda: published(client), seconds=30)
        wait_until(replica.is_ready, seconds=30)
        (event,) = published(client)
        assert event.id == "meetai-transcript.completed-RM_killed"
        assert event.name == "meetai/transcript.completed"
        completed = msgspec.convert(event.data, TranscriptCompleted)
        assert (completed.meeting_id, completed.lines) == ("killed", 3)
        with psycopg.connect(database_url) as connection:
            wait_until(lambda: _all_sent(connection), seconds=WAIT_SECONDS)


def test_nothing_is_told_before_its_time_when_a_meeting_may_go_on(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """All is stored and closed; integrity says that this may not be all, and the events stream stays silent."""
    quiet = {"COMPLETION_QUIET_SECONDS": "3600"}
    with redis.Redis.from_url(redis_url) as client, ingest(tmp_path, database_url, redis_url, extra=quiet) as replica:
        producer = Producer("goes-on", room_sid="RM_goes_on")
        for entry in (producer.open(), producer.say(3), producer.close()):
            client.xadd(stream_key(0), {BATCH_FIELD: entry})
        wait_until(lambda: [known.closed for known in replica.integrity("goes-on").producers] == [True], seconds=30)
        integrity = replica.integrity("goes-on")
        assert (integrity.verdict, integrity.producers[0].stored) == ("unproven", 3)
        assert "3600 s have not passed" in integrity.reason
        assert published(client) == []


def _all_sent(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    unsent = connection.execute("SELECT count(*) FROM transcript_ingest.outbox WHERE sent_at IS NULL").fetchone()
    connection.rollback()
    return unsent == (0,)
