"""More than a transaction has time for: it is written in less, and nobody behind it waits for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.postgres import Pool, create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters import postgres_store
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.errors import TooSlowError, TryLaterError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import Parcel

KEY = stream_key(0)
BAD_ENTRIES = 1_000
"""What one read may bring."""
IN_TIME_SECONDS = 25
OPTIONS = f"-c search_path={SCHEMA}"


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Pool]:
    """A pool of a single connection."""
    async with create_pool(database_url, schema=SCHEMA, min_size=1, max_size=1, application="test") as opened:
        yield opened


def parcels_of(entry: bytes) -> tuple[Parcel, ...]:
    return unpack(Arrival("stream", "1-1", {BATCH_FIELD.encode(): entry})).parcels


def test_other_meetings_are_stored_when_a_producer_sends_a_million_bad_lines(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """A letter an entry, all acknowledged; the good lines among them are stored, and integrity says what is missing."""
    broken, fine = Producer("broken"), Producer("fine")
    with redis.Redis.from_url(redis_url) as server:
        for _ in range(BAD_ENTRIES):
            batch = msgspec.msgpack.decode(broken.say(1))
            broken.seq += 999
            batch[6] = batch[7] = broken.seq
            batch[8] += [None] * 999
            server.xadd(KEY, {BATCH_FIELD: msgspec.msgpack.encode(batch)})
        for entry in (broken.close(), fine.open(), fine.say(5), fine.close()):
            server.xadd(KEY, {BATCH_FIELD: entry})
    with ingest(tmp_path, database_url, redis_url) as replica:
        wait_until(lambda: replica.is_complete("fine"), seconds=IN_TIME_SECONDS)
        assert len(replica.transcript("fine")) == 5
        assert [line.text for line in replica.transcript("broken")] == [line.text for line in broken.said]
        proof = replica.integrity("broken")
        assert proof.verdict == "incomplete"
        assert proof.reason.startswith(f"{999 * BAD_ENTRIES} lines missing")
        assert replica.metric("meetai_ingest_postponed_total") == 0
        (letter,) = replica.ask("GET", "/v1/dead-letters", params={"meetingId": "broken", "limit": 1}).json()[
            "deadLetters"
        ]
        assert (letter["reason"], letter["seq"]) == ("malformed", None)
        redriven = replica.ask("POST", f"/v1/dead-letters/{letter['id']}/redrive", json={}).json()
        assert (redriven["stayed"], redriven["lines"]) == (1, 0)
    with psycopg.connect(database_url, options=OPTIONS) as database:
        assert database.execute("SELECT count(*), max(seq) FROM dead_letters").fetchone() == (BAD_ENTRIES, 0)


@pytest.mark.parametrize("by", ["the transaction", "a statement"])
async def test_store_says_that_it_is_too_slow_when_the_time_is_over(
    one: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Whoever offers it offers less; nothing of it is stored, and it is stored when nobody is in its way."""
    store, producer = PostgresLineStore(one), Producer()
    await store.commit(parcels_of(producer.open()), ())
    entry = parcels_of(producer.say(2))
    if by == "the transaction":
        monkeypatch.setattr(postgres_store, "COMMIT_TIMEOUT_SECONDS", 0.5)
    else:
        async with one.connection() as connection:
            await connection.execute("SET statement_timeout = 500")
    with psycopg.connect(database_url, options=OPTIONS) as other:
        other.execute("SELECT FROM meetings FOR UPDATE")
        with pytest.raises(TooSlowError):
            await store.commit(entry, ())
    monkeypatch.undo()
    assert (await store.commit(entry, ())).lines == 2


async def test_store_is_away_rather_than_too_slow_when_there_is_no_connection(
    one: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offering less would help nobody."""
    monkeypatch.setattr(postgres_store, "COMMIT_TIMEOUT_SECONDS", 0.5)
    async with one.connection():
        with pytest.raises(TryLaterError) as raised:
            await PostgresLineStore(one).commit(parcels_of(Producer().say(1)), ())
    assert not isinstance(raised.value, TooSlowError)
