"""A meeting that was erased stays erased, whatever arrives late, is redriven, or is killed in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tests.unit.transcript_ingest.fakes import FakeObserver
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import eventually

from meetai_contracts.api import Integrity
from meetai_contracts.transcript import BATCH_FIELD, encode_batch
from meetai_servicekit.postgres import Pool, create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_dead_letters import PostgresDeadLetters
from meetai_transcript_ingest.adapters.postgres_erasures import PostgresErasures
from meetai_transcript_ingest.adapters.postgres_outbox import PostgresOutbox
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.errors import ErasedError, LetterGoneError, TryLaterError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.letters import LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel
from meetai_transcript_ingest.domain.proof import prove
from meetai_transcript_ingest.usecases.erase import EraseMeeting

WAIT_SECONDS = 15
LATER_MS = 60_000
SECRET = "said in confidence"


class Desk:
    """One database, and everything that this is about."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.store = PostgresLineStore(pool)
        self.archive = PostgresArchive(pool)
        self.letters = PostgresDeadLetters(pool, self.store)
        self.erasures = PostgresErasures(pool)
        self.observer = FakeObserver()
        self.erase = EraseMeeting(self.erasures, observer=self.observer, monotonic=time.monotonic)

    async def bring(self, *entries: bytes, letters: tuple[DeadLetter, ...] = ()) -> None:
        """As the consumer does."""
        unpacked = [unpack(Arrival("stream", f"1-{i}", {BATCH_FIELD.encode(): e})) for i, e in enumerate(entries)]
        found = [letter for one in unpacked for letter in one.letters]
        await self.store.commit(parcels(*entries), [*found, *letters])

    async def erase_all(self, meeting_id: str = "standup") -> None:
        assert await self.erase(meeting_id, actor="privacy")

    async def texts(self, meeting_id: str = "standup") -> list[str]:
        return [line.text for line in await self.archive.lines_after(meeting_id, None, 100_000)]

    async def integrity(self, meeting_id: str = "standup") -> Integrity:
        return prove(meeting_id, await self.archive.producers(meeting_id))

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def holds(self, secret: str = SECRET) -> bool:
        """Whether any row of any table still has it."""
        for (table,) in await self.rows(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{SCHEMA}'"
        ):
            if await self.rows(f"SELECT FROM {table} AS r WHERE r::text LIKE '%{secret}%'"):
                return True
            if table == "dead_letters" and await self.rows(
                f"SELECT FROM dead_letters WHERE position('{secret}'::bytea IN payload) > 0"
            ):
                return True
        return False


def parcels(*entries: bytes) -> list[Parcel]:
    arrivals = [Arrival("stream", f"1-{i}", {BATCH_FIELD.encode(): entry}) for i, entry in enumerate(entries)]
    return [parcel for arrival in arrivals for parcel in unpack(arrival).parcels]


def say_secret(producer: Producer) -> bytes:
    return encode_batch(producer.batch(producer.line(SECRET)))


def starting_later() -> Producer:
    """An agent that starts once the erasure is over."""
    return Producer(producer_id=uuid7(time.time_ns() // 1_000_000 + LATER_MS))


@pytest.fixture
async def desk(module_database_url: str) -> AsyncIterator[Desk]:
    async with create_pool(module_database_url, schema=SCHEMA, min_size=1, max_size=5, application="suite") as pool:
        async with pool.connection() as connection:
            await connection.execute(
                "TRUNCATE lines, producers, dead_letters, audit, outbox, meetings, erasures, summaries, room_endings"
            )
        yield Desk(pool)


async def test_nothing_that_was_said_is_left_when_a_meeting_is_erased(desk: Desk) -> None:
    """Lines, letters of lines, of entries and of bytes that nobody can read; other meetings keep theirs."""
    producer, other = Producer(), Producer("other")
    future = msgspec.msgpack.encode((9, "lines", "standup", "RM", b"\0" * 16, SECRET))
    garbled = b"\xc1" + msgspec.msgpack.encode(("standup", SECRET))
    letter = DeadLetter("s", "7-1", "refused", "why", say_secret(Producer()), "standup", producer.producer_id, 3)
    said = [producer.open(), say_secret(producer), producer.say(1)]
    producer.line()
    await desk.bring(*said, producer.close(), other.say(2), other.close(), future, garbled, letters=(letter,))
    assert await desk.holds()
    await desk.erase_all()
    assert not await desk.holds()
    with pytest.raises(ErasedError):
        await desk.texts()
    assert len(await desk.texts("other")) == 2
    integrity = await desk.integrity()
    (known,) = integrity.producers
    assert (known.declared, known.stored, known.dead, known.erased, known.missing) == (3, 0, 0, 3, ())
    assert (integrity.verdict, integrity.reason) == (
        "complete",
        "all stored and closed: 3 lines of 1 producer, 3 of them erased on request",
    )
    assert desk.observer.erasures == 1


async def test_who_erased_how_much_is_kept_without_text_when_it_is_done(desk: Desk) -> None:
    """A row when it was asked for, a row when it was finished."""
    producer = Producer()
    await desk.bring(say_secret(producer), producer.say(4))
    await desk.erase_all()
    assert await desk.rows("SELECT actor, action, meeting_id, counts FROM audit ORDER BY id") == [
        ("privacy", "erasure_requested", "standup", {"producers": 1, "summaries": 0}),
        ("privacy", "erasure_finished", "standup", {"lines": 5, "deadLetters": 0}),
    ]


async def test_late_batch_is_not_stored_when_its_producer_had_started(desk: Desk) -> None:
    """Known or not, however often it comes; each line counts as erased once."""
    known, unknown, undated = Producer(), Producer(), Producer(producer_id=uuid4())
    await desk.bring(known.open(), known.say(2))
    await desk.erase_all()
    late = [say_secret(known), say_secret(unknown), say_secret(undated), unknown.close()]
    for _ in range(2):
        await desk.bring(*late)
    assert not await desk.holds()
    integrity = await desk.integrity()
    assert {one.producer_id: one.erased for one in integrity.producers} == {
        known.producer_id: 3,
        unknown.producer_id: 1,
        undated.producer_id: 1,
    }
    assert all(one.missing == () for one in integrity.producers)


async def test_late_dead_letter_is_not_kept_when_its_meeting_was_erased(desk: Desk) -> None:
    """A malformed line or a version of the future would hold what was said."""
    producer = Producer()
    await desk.bring(producer.open())
    await desk.erase_all()
    encoded = msgspec.msgpack.decode(encode_batch(producer.batch(producer.line(SECRET), producer.line(SECRET))))
    encoded[8][1][4] = -1  # started before 1970
    future = (9, "lines", "standup", "RM", producer.producer_id.bytes, SECRET)
    await desk.bring(msgspec.msgpack.encode(encoded), msgspec.msgpack.encode(future))
    assert not await desk.holds()
    (known,) = (await desk.integrity()).producers
    assert (known.declared, known.erased, known.missing) == (2, 2, ())


async def test_redrive_stores_nothing_when_the_meeting_was_erased_meanwhile(desk: Desk) -> None:
    """A letter that was read before the erasure and is written after it; and none can be read during it."""
    producer = Producer()
    payload = say_secret(producer)
    await desk.bring(letters=(DeadLetter("s", "7-1", "unknown_version", "why", payload, "standup"),))
    (summary,) = await desk.letters.page(LetterFilter(), before=None, limit=9)
    kept = await desk.letters.get(summary.id)
    await desk.erasures.request("standup", actor="privacy")
    with pytest.raises(LetterGoneError):
        await desk.letters.get(summary.id)
    rewritten = await desk.letters.rewrite(kept, parcels(payload), ())
    assert (rewritten.removed, rewritten.outcome.lines, rewritten.outcome.erased) == (True, 0, 1)
    assert not await desk.holds()


async def test_nothing_is_read_when_the_erasure_has_only_been_asked_for(desk: Desk) -> None:
    """From the first commit on, although every row is still there; with it also what an agent says that starts just then."""
    producer, newcomer = Producer(), starting_later()
    await desk.bring(say_secret(producer))
    version = (await desk.archive.version("standup")).position
    await desk.erasures.request("standup", actor="privacy")
    assert await desk.holds()
    assert (await desk.archive.version("standup")).position > version
    await desk.bring(newcomer.say(1))
    with pytest.raises(ErasedError):
        await desk.texts()
    with pytest.raises(ErasedError):
        await desk.archive.lines_since("standup", 0, 9)
    assert await desk.erase.go_on() == 1
    assert len(await desk.archive.lines_since("standup", 0, 9)) == 1
    assert await desk.texts() == [newcomer.said[0].text]
    assert not await desk.holds()


async def test_meeting_is_stored_as_usual_when_its_id_is_used_again(desk: Desk) -> None:
    """By agents that start afterwards; erasing once more takes theirs as well, and what is late stays out."""
    before, after = Producer(), starting_later()
    await desk.bring(say_secret(before))
    await desk.erase_all()
    await desk.bring(after.open(), after.say(3), after.close(), say_secret(before))
    assert await desk.texts() == [line.text for line in after.said]
    await desk.erase_all()  # its clock is ahead: known, and so covered all the same
    with pytest.raises(ErasedError):
        await desk.texts()
    await desk.bring(after.say(1))
    with pytest.raises(ErasedError):
        await desk.texts()


@pytest.mark.parametrize("first", ["commit", "erasure"])
async def test_nothing_is_left_when_a_commit_and_an_erasure_run_at_once(desk: Desk, first: str) -> None:
    """Of a producer that nobody had heard of. Both wait for the meeting's row, in either order."""
    await desk.bring(Producer().open())
    entry = say_secret(Producer())
    async with desk.pool.connection() as blocker:
        await blocker.execute("SELECT FROM meetings FOR UPDATE")
        works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "commit": lambda: desk.store.commit(parcels(entry), ()),
            "erasure": lambda: desk.erasures.request("standup", actor="privacy"),
        }
        running = []
        for count, name in enumerate([first, *(works.keys() - {first})], 1):
            running.append(asyncio.create_task(works[name]()))

            async def all_wait(count: int = count) -> bool:
                return len(await desk.rows(WAITING)) == count

            await eventually(all_wait, seconds=WAIT_SECONDS)
        await blocker.commit()
    await asyncio.gather(*running)
    with pytest.raises(ErasedError):
        await desk.texts()
    assert await desk.erase.go_on() == 1
    assert not await desk.holds()
    assert sum(one.erased for one in (await desk.integrity()).producers) == 1


async def test_a_second_erasure_is_not_over_when_a_worker_ends_the_first(desk: Desk) -> None:
    """It covers more than that worker looked for: it looks again."""
    newcomer = starting_later()
    await desk.bring(Producer().open())
    await desk.erasures.request("standup", actor="privacy")
    await desk.bring(newcomer.open(), say_secret(newcomer))
    async with desk.pool.connection() as second:
        await second.execute("SELECT FROM meetings FOR UPDATE")
        worker = asyncio.create_task(desk.erasures.erase_some("standup"))

        async def waits() -> bool:
            return len(await desk.rows(WAITING)) == 1

        await eventually(waits, seconds=WAIT_SECONDS)
        await second.execute("UPDATE meetings SET erased_at = erased_at + interval '1 day'")
    assert await worker
    assert await desk.erase.go_on() == 1
    assert not await desk.holds()


async def test_what_is_erased_stays_so_when_the_clock_went_back(desk: Desk) -> None:
    """An erasure once more covers no less than the one before."""
    early = Producer()
    await desk.bring(early.open())
    await desk.erase_all()
    ahead = "UPDATE meetings SET erased_at = now() + interval '1 day' RETURNING erased_at"
    async with desk.pool.connection() as connection:
        then = await (await connection.execute(ahead)).fetchone()
    await desk.erase_all()
    assert await desk.rows("SELECT erased_at FROM meetings") == [then]


WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_nothing_is_left_when_commits_redrives_and_erasures_mix(desk: Desk) -> None:
    """Four writers and two erasures at once; what deadlocks is tried again, as the loops do."""
    producers = [Producer() for _ in range(4)]

    async def talk(producer: Producer) -> None:
        for _ in range(25):
            await desk.bring(say_secret(producer), producer.say(2))

    async def forget() -> None:
        for _ in range(3):
            await desk.erase("standup", actor="privacy")
            await asyncio.sleep(0)

    await asyncio.gather(*[talk(producer) for producer in producers], forget(), forget())
    await desk.erase_all()
    assert not await desk.holds()
    assert {one.erased for one in (await desk.integrity()).producers} == {75}


async def test_erasure_goes_by_bounded_parts_when_a_meeting_is_large(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no transaction is long; the counts are those of the whole."""
    monkeypatch.setattr("meetai_transcript_ingest.adapters.postgres_erasures.BATCH_LINES", 100)
    one, other = Producer(), Producer()
    await desk.bring(*[producer.say(50) for producer in (one, other) for _ in range(4)])
    await desk.erasures.request("standup", actor="privacy")
    parts = 0
    while await desk.erasures.erase_some("standup"):
        parts += 1
    assert parts == 4
    assert (await desk.rows("SELECT counts FROM audit ORDER BY id DESC LIMIT 1")) == [
        ({"lines": 400, "deadLetters": 0},)
    ]


async def test_letters_are_counted_once_when_two_workers_erase_them(desk: Desk) -> None:
    """The second finds them before the first has committed."""
    letters = [DeadLetter("s", f"7-{n}", "refused", "why", say_secret(Producer()), "standup") for n in range(3)]
    await desk.bring(b"\xc1" + msgspec.msgpack.encode(("standup", SECRET)), letters=tuple(letters))
    await desk.erasures.request("standup", actor="privacy")
    async with desk.pool.connection() as first, first.transaction():
        await first.execute("SELECT FROM dead_letters FOR UPDATE")
        workers = [asyncio.create_task(desk.erase.go_on()) for _ in range(2)]
        await eventually(lambda: waiting_for_locks(desk, 2), seconds=WAIT_SECONDS)
    await asyncio.gather(*workers)
    (counts,) = await desk.rows("SELECT counts FROM audit WHERE action = 'erasure_finished'")
    assert counts == ({"lines": 0, "deadLetters": 4},)


async def waiting_for_locks(desk: Desk, count: int) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return await desk.rows(waiting) == [(count,)]


async def test_letters_that_nobody_can_read_are_searched_by_bounded_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of a mebibyte take longer than a transaction may. Another goes on where one was killed; asked again, all are searched."""
    monkeypatch.setattr("meetai_transcript_ingest.adapters.postgres_erasures.BATCH_UNREAD", 2)

    rubbish = [b"\xc1" + msgspec.msgpack.encode(("standup" if number % 2 else "other", SECRET)) for number in range(5)]

    async def parts() -> int:
        count = 0
        while await PostgresErasures(desk.pool).erase_some("standup"):
            count += 1
        return count

    for _ in range(2):
        await desk.bring(*rubbish)
        await desk.erasures.request("standup", actor="privacy")
        assert await parts() == 3
        assert await desk.rows("SELECT count(*) FROM dead_letters") == [(3,)]
        counts = await desk.rows("SELECT counts FROM audit ORDER BY id DESC LIMIT 1")
        assert counts == [({"lines": 0, "deadLetters": 2},)]


async def test_room_is_complete_when_all_of_it_is_stored_or_erased(desk: Desk) -> None:
    """The event tells how many lines are stored: none."""
    producer = Producer()
    await desk.bring(producer.open(), producer.say(3))
    await desk.erase_all()
    await desk.bring(producer.close())
    outbox = PostgresOutbox(desk.pool)
    assert await outbox.complete_quiet_rooms(quiet_seconds=0, limit=9) == 1
    (event,) = await outbox.claim(limit=9, lease_seconds=0)
    assert (event.id, event.data["lines"]) == ("meetai-transcript.completed-RM_1", 0)


async def test_an_erasure_that_cannot_go_on_holds_up_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is the first to be tried, each time."""
    stuck, other = Producer("stuck"), Producer("other")
    await desk.bring(say_secret(stuck), say_secret(other))
    for meeting_id in ("stuck", "other"):
        await desk.erasures.request(meeting_id, actor="privacy")
    erase_some = desk.erasures.erase_some

    async def refuse_one(meeting_id: str) -> bool:
        if meeting_id == "stuck":
            raise TryLaterError("locked")
        return await erase_some(meeting_id)

    with monkeypatch.context() as patched:
        patched.setattr(desk.erasures, "erase_some", refuse_one)
        assert await desk.erase.go_on() == 1
    assert await desk.erasures.unfinished(9) == ("stuck",)
    assert await desk.erase.go_on() == 1
