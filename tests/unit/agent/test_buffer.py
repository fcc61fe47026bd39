"""The buffer's rules one by one, each with the condition that brings it out."""

from __future__ import annotations

import pytest
from tests.unit.agent.samples import (
    LONGEST_TEXT,
    WIDEST_ID,
    WIDEST_SPEAKER,
    covered,
    decoded,
    line,
    lines_of,
    new_producer,
)

from meetai_agent.domain.batches import Finished, FrozenBatch, ReadSpool, Send, Wait
from meetai_agent.domain.buffer import (
    ATTEMPTS,
    BACKLOG_LINES,
    FLUSH_LINES,
    FLUSH_SECONDS,
    MAX_RAM_BYTES,
    MAX_RAM_LINES,
    PROBE_SECONDS,
    RETRY,
    TranscriptBuffer,
)
from meetai_contracts.transcript import MAX_BATCH_BYTES, TranscriptLine

PRODUCER = new_producer()


def opened(random: float = 0.0) -> TranscriptBuffer:
    """A buffer whose `open` has been sent."""
    buffer = TranscriptBuffer(PRODUCER, random=lambda: random)
    assert sent(buffer, 0.0).kind == "open"
    buffer.acknowledged()
    return buffer


def sent(buffer: TranscriptBuffer, now: float) -> FrozenBatch:
    action = buffer.next(now)
    assert isinstance(action, Send), action
    return action.batch


def add(buffer: TranscriptBuffer, first: int, last: int, *, now: float = 0.0, spooled: bool = False) -> list[bool]:
    """Lines `first` to `last`; the spool, if it has them, has line n at offset n."""
    numbers = range(first, last + 1)
    return [buffer.add(line(PRODUCER, seq), now=now, spool_offset=seq if spooled else None) for seq in numbers]


def drained(buffer: TranscriptBuffer, spool: dict[int, TranscriptLine] | None = None) -> list[bytes]:
    """Everything a stream gets that accepts at once, from a buffer that is being closed."""
    buffer.close()
    batches: list[bytes] = []
    while True:
        match buffer.next(1e9):
            case Send(batch):
                batches.append(batch.data)
                buffer.acknowledged()
            case ReadSpool(first, last, _):
                found = [(spool or {})[seq] for seq in range(first, last + 1) if seq in (spool or {})]
                rest = found[BACKLOG_LINES].seq if len(found) > BACKLOG_LINES else None
                buffer.refill(found[:BACKLOG_LINES], rest)
                assert buffer.ram_lines <= MAX_RAM_LINES
                assert buffer.ram_bytes <= MAX_RAM_BYTES
            case Finished():
                return batches
            case Wait(seconds):
                raise AssertionError(f"waits {seconds} s although it is closing")


def test_lines_are_sent_when_ten_wait() -> None:
    """The tenth line makes a batch of all ten at once."""
    buffer = opened()
    add(buffer, 1, FLUSH_LINES - 1, now=1.0)
    assert isinstance(buffer.next(1.0), Wait)
    add(buffer, FLUSH_LINES, FLUSH_LINES, now=1.0)
    batch = sent(buffer, 1.0)
    assert (batch.kind, batch.first_seq, batch.last_seq) == ("lines", 1, FLUSH_LINES)


def test_lines_are_sent_when_the_oldest_has_waited_three_seconds() -> None:
    """Not earlier, and with every line that has come meanwhile."""
    buffer = opened()
    add(buffer, 1, 1, now=1.0)
    add(buffer, 2, 2, now=3.5)
    assert buffer.next(1.0 + FLUSH_SECONDS - 0.5) == Wait(0.5)
    assert sent(buffer, 1.0 + FLUSH_SECONDS).last_seq == 2


def test_nothing_is_due_when_nothing_was_said() -> None:
    """An idle buffer waits until something is added."""
    assert opened().next(100.0) == Wait(None)


@pytest.mark.parametrize("random", [0.0, 0.999])
def test_three_attempts_are_made_and_then_a_probe_every_three_seconds_when_the_stream_is_away(random: float) -> None:
    """Exponential waits between the attempts; after the third the circuit is open, and every attempt has the same bytes."""
    buffer = opened(random)
    add(buffer, 1, FLUSH_LINES)
    now, waits, data = 0.0, [], set()
    for _ in range(ATTEMPTS + 4):
        data.add(sent(buffer, now).data)
        buffer.failed(now)
        action = buffer.next(now)
        assert isinstance(action, Wait)
        assert action.seconds is not None
        waits.append(action.seconds)
        assert isinstance(buffer.next(now + action.seconds - 0.001), Wait)
        now += action.seconds
        add(buffer, buffer.high_water + 1, buffer.high_water + 1, now=now)
    assert len(data) == 1
    assert waits[:2] == pytest.approx([RETRY.wait_seconds(1, lambda: random), RETRY.wait_seconds(2, lambda: random)])
    assert waits[2:] == pytest.approx([PROBE_SECONDS] * 5)
    assert buffer.circuit_open


def test_the_circuit_closes_when_a_probe_is_confirmed() -> None:
    """What waited goes out at once, in order, and the next failure counts from one again."""
    buffer = opened()
    add(buffer, 1, FLUSH_LINES)
    now = 0.0
    for _ in range(ATTEMPTS):
        sent(buffer, now)
        buffer.failed(now)
        now += PROBE_SECONDS
    add(buffer, 11, 30, now=now)
    assert sent(buffer, now).last_seq == FLUSH_LINES
    buffer.acknowledged()
    assert not buffer.circuit_open
    assert (sent(buffer, now).first_seq, sent(buffer, now).last_seq) == (11, 30)
    buffer.failed(now)
    assert not buffer.circuit_open


def test_a_retry_has_the_same_bytes_when_lines_come_between() -> None:
    """A batch is frozen with the high-water mark it had; the lines that came go into the next."""
    buffer = opened()
    add(buffer, 1, FLUSH_LINES)
    first = sent(buffer, 0.0)
    buffer.failed(0.0)
    add(buffer, 11, 11)
    assert sent(buffer, PROBE_SECONDS) == first
    assert decoded([first.data])[0].high_water == FLUSH_LINES


def test_lines_without_a_spool_are_lost_when_memory_is_full() -> None:
    """2,000 lines are held, frozen ones included; the others are named by a gap in their place."""
    buffer = opened()
    taken = add(buffer, 1, FLUSH_LINES)
    sent(buffer, 0.0)
    taken += add(buffer, FLUSH_LINES + 1, MAX_RAM_LINES + 5)
    assert taken == [True] * MAX_RAM_LINES + [False] * 5
    batches = decoded(drained(buffer))
    assert [(batch.first_seq, batch.last_seq) for batch in batches if batch.kind == "gap"] == [(2001, 2005)]
    assert covered(batches) == list(range(1, 2006))
    assert batches[-1].high_water == 2005


def test_memory_is_bounded_in_bytes_when_lines_are_long() -> None:
    """4 MiB, whatever the number of lines; every batch fits the contract's 256 KiB with ids of 256 bytes."""
    producer = new_producer(WIDEST_ID, WIDEST_ID)
    buffer = TranscriptBuffer(producer, random=lambda: 0.0)
    lines = [line(producer, seq, LONGEST_TEXT, WIDEST_SPEAKER) for seq in range(1, 400)]
    taken = [buffer.add(one, now=0.0, spool_offset=None) for one in lines]
    assert buffer.ram_bytes <= MAX_RAM_BYTES < buffer.ram_bytes + len(LONGEST_TEXT) + 2048
    batches = drained(buffer)
    assert max(map(len, batches)) <= MAX_BATCH_BYTES
    assert len(lines_of(decoded(batches))) == sum(taken)


def test_memory_is_bounded_when_it_is_full_behind_lines_in_the_spool() -> None:
    """Room to read one batch back is kept free, so that the front of the buffer can always move on."""
    buffer = opened()
    spool = {seq: line(PRODUCER, seq) for seq in range(1, 3001)}
    add(buffer, 1, 3000, spooled=True)
    while isinstance(buffer.next(0.0), Send):
        buffer.acknowledged()
    taken = add(buffer, 3001, 6000)
    assert sum(taken) == MAX_RAM_LINES - BACKLOG_LINES
    batches = decoded(drained(buffer, spool))
    assert covered(batches) == list(range(2001, 6001))
    assert len(lines_of(batches)) == 1000 + sum(taken)


def test_lines_are_read_from_the_spool_when_memory_was_full() -> None:
    """None is lost, and none comes twice or out of its turn."""
    buffer = opened()
    spool = {seq: line(PRODUCER, seq) for seq in range(1, 5001)}
    assert all(add(buffer, 1, 5000, spooled=True))
    assert buffer.ram_lines == MAX_RAM_LINES
    assert [one.seq for one in lines_of(decoded(drained(buffer, spool)))] == list(range(1, 5001))


def test_a_line_is_not_doubled_when_the_spool_answers_with_more_than_was_asked() -> None:
    """The spool failed for line 2003, so 2004 is in memory and in the spool; it is sent once, and 2003 is not called lost."""
    buffer = opened()
    add(buffer, 1, MAX_RAM_LINES + 2, spooled=True)
    for _ in range(2):
        sent(buffer, 0.0)
        buffer.acknowledged()
    assert add(buffer, 2003, 2003) == [True]
    assert add(buffer, 2004, 2004, spooled=True) == [True]
    batches = []
    while not isinstance(action := buffer.next(0.0), ReadSpool):
        assert isinstance(action, Send)
        buffer.acknowledged()
    assert (action.first_seq, action.last_seq) == (2001, 2002)
    buffer.refill([line(PRODUCER, seq) for seq in (2001, 2002, 2004)], None)
    batches = decoded(drained(buffer))
    assert [(batch.kind, batch.first_seq, batch.last_seq) for batch in batches] == [
        ("lines", 2001, 2004),
        ("close", 0, 0),
    ]


def test_holes_in_the_spool_become_gaps_when_it_is_read_back() -> None:
    """What should have been there and isn't is named, and the rest goes on."""
    buffer = opened()
    add(buffer, 1, MAX_RAM_LINES + 10, spooled=True)
    spool = {seq: line(PRODUCER, seq) for seq in (2002, 2003, 2007)}
    batches = decoded(drained(buffer, spool))
    gaps = [(batch.first_seq, batch.last_seq) for batch in batches if batch.kind == "gap"]
    assert gaps == [(2001, 2001), (2004, 2006), (2008, 2010)]
    assert covered(batches) == list(range(1, 2011))


def test_a_number_that_never_came_becomes_a_gap_when_the_next_does() -> None:
    """Numbers have no holes: whoever lost one, the stream is told."""
    buffer = opened()
    add(buffer, 1, 1)
    add(buffer, 4, 4)
    batches = decoded(drained(buffer))
    assert [(batch.kind, batch.first_seq, batch.last_seq) for batch in batches[:-1]] == [
        ("lines", 1, 1),
        ("gap", 2, 3),
        ("lines", 4, 4),
    ]


def test_losses_take_no_memory_when_the_spool_comes_and_goes() -> None:
    """Alternating lost and spooled lines are one entry, not one each."""
    buffer = opened()
    add(buffer, 1, MAX_RAM_LINES, spooled=True)
    for seq in range(MAX_RAM_LINES + 1, MAX_RAM_LINES + 2001, 2):
        add(buffer, seq, seq, spooled=True)
        add(buffer, seq + 1, seq + 1)
    assert len(buffer._entries) <= MAX_RAM_LINES + 1


def test_only_unacknowledged_lines_are_sent_when_a_spool_is_replayed() -> None:
    """A replay goes on after what the stream has; it opens and closes its producer, which is harmless twice."""
    buffer = TranscriptBuffer(PRODUCER, random=lambda: 0.0, acknowledged_seq=7)
    buffer.recover(9, spool_offset=0)
    batches = decoded(drained(buffer, {8: line(PRODUCER, 8), 9: line(PRODUCER, 9)}))
    assert [batch.kind for batch in batches] == ["open", "lines", "close"]
    assert covered(batches) == [8, 9]
    assert {batch.high_water for batch in batches} == {9}


def test_close_declares_what_was_acknowledged_when_a_spool_holds_nothing_more() -> None:
    """The high-water mark of a replay is never below what the dead job had delivered."""
    buffer = TranscriptBuffer(PRODUCER, random=lambda: 0.0, acknowledged_seq=7)
    buffer.recover(7, spool_offset=0)
    assert [(batch.kind, batch.high_water) for batch in decoded(drained(buffer))] == [("open", 7), ("close", 7)]


def test_close_comes_last_when_lines_still_wait() -> None:
    """Closing makes everything due at once, and the marker after it."""
    buffer = opened()
    add(buffer, 1, 3)
    assert isinstance(buffer.next(0.0), Wait)
    assert [batch.kind for batch in decoded(drained(buffer))] == ["lines", "close"]
