"""Redriving where a store refuses single lines, which PostgreSQL can't be made to do with what the contract lets through."""

from __future__ import annotations

import msgspec
from tests.unit.transcript_ingest.fake_letters import FakeDeadLetters
from tests.unit.transcript_ingest.fakes import FakeObserver, FakeStore
from tests.unit.transcript_ingest.producing import Producer

from meetai_transcript_ingest.domain.intake import MAX_DEAD_LINES
from meetai_transcript_ingest.domain.letters import LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter
from meetai_transcript_ingest.usecases.redrive import BULK_SECONDS, Redrive

EVERYTHING = LetterFilter()


async def test_letter_is_divided_when_some_of_its_lines_are_refused() -> None:
    """What is good is stored, and each bad line is a letter of its own that can be redriven later."""
    store = FakeStore(refuses=lambda line: line.seq in {2, 5})
    letters = FakeDeadLetters(store)
    redrive = Redrive(letters, observer=FakeObserver(), monotonic=lambda: 0.0)
    await store.commit((), [DeadLetter("stream", "1-1", "unknown_version", "why", Producer().say(6))])
    redriven = await redrive.one(1, actor="me")
    assert (redriven.redriven, redriven.stayed, redriven.lines) == (4, 2, 4)
    left = await letters.page(EVERYTHING, before=None, limit=9)
    assert {(letter.seq, letter.reason) for letter in left} == {(2, "refused"), (5, "refused")}
    store.refuses = lambda line: False
    assert (await redrive.many(EVERYTHING, before=None, limit=9, actor="me")).redriven == 2
    assert [line.seq for line in await store.lines_after("standup", None, 9)] == [1, 2, 3, 4, 5, 6]


async def test_letter_stays_when_it_is_divided_and_still_holds_what_nobody_can_read() -> None:
    """Its refused line gets a letter of its own; the many bad ones stay in the one that they are in."""
    producer = Producer()
    batch = msgspec.msgpack.decode(producer.say(MAX_DEAD_LINES + 4))
    for line in batch[8][3:]:
        line[3] = ""  # no text
    store = FakeStore(refuses=lambda line: line.seq == 2)
    letters = FakeDeadLetters(store)
    redrive = Redrive(letters, observer=FakeObserver(), monotonic=lambda: 0.0)
    payload = msgspec.msgpack.encode(batch)
    await store.commit((), [DeadLetter("stream", "1-1", "malformed", "why", payload)])
    redriven = await redrive.one(1, actor="me")
    assert (redriven.redriven, redriven.stayed, redriven.lines) == (2, 2, 2)
    left = await letters.page(EVERYTHING, before=None, limit=9)
    assert {(letter.seq, letter.reason) for letter in left} == {(None, "malformed"), (2, "refused")}
    assert [line.seq for line in await store.lines_after("standup", None, 99)] == [1, 3]


async def test_bulk_redrive_ends_when_its_time_is_over() -> None:
    """It says where to go on, and going on reaches every letter."""
    store = FakeStore()
    letters = FakeDeadLetters(store)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += BULK_SECONDS / 3
        return now

    redrive = Redrive(letters, observer=FakeObserver(), monotonic=clock)
    payload = Producer().say(1)
    await store.commit((), [DeadLetter("stream", f"1-{i}", "malformed", "why", payload) for i in range(9)])
    before, rounds, redriven = None, 0, 0
    while True:
        done = await redrive.many(EVERYTHING, before=before, limit=500, actor="me")
        rounds, redriven = rounds + 1, redriven + done.redriven
        if done.next is None:
            break
        before = int(done.next)
    assert redriven == 9
    assert rounds > 1
