"""The buffer against a model, by random lines, failures, pauses and spools under a virtual clock."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.agent.fakes import MemoryDisk, MemorySpool
from tests.unit.agent.samples import LONGEST_TEXT, WIDEST_ID, WIDEST_SPEAKER, line, new_producer

from meetai_agent.domain.batches import Action, Finished, FrozenBatch, Producer, ReadSpool, Send, Wait
from meetai_agent.domain.buffer import (
    BACKLOG_BYTES,
    BACKLOG_LINES,
    FLUSH_LINES,
    FLUSH_SECONDS,
    MAX_RAM_BYTES,
    MAX_RAM_LINES,
    PROBE_SECONDS,
    RETRY,
    TranscriptBuffer,
)
from meetai_contracts.transcript import MAX_BATCH_BYTES, TranscriptBatch, decode_batch


class BufferMachine(RuleBasedStateMachine):
    """Drives a buffer as `Delivery` does, and knows what it must not do."""

    producer: Producer
    spool: MemorySpool
    buffer: TranscriptBuffer

    @initialize(wide=st.booleans(), acknowledged=st.sampled_from([0, 7]))
    def begin(self, wide: bool, acknowledged: int) -> None:
        self.producer = new_producer(WIDEST_ID if wide else "standup", WIDEST_ID if wide else "RM_x")
        self.spool = MemorySpool(MemoryDisk(), self.producer)
        self.buffer = TranscriptBuffer(self.producer, random=lambda: 0.5, acknowledged_seq=acknowledged)
        self.first = acknowledged + 1
        self.numbers = itertools.count(self.first)
        self.taken: set[int] = set()
        self.lost: set[int] = set()
        self.broken: set[int] = set()
        self.added_at: dict[int, float] = {}
        self.stored: list[TranscriptBatch] = []
        self.now = 0.0
        self.closing = False
        self.failures = 0
        self.not_before = 0.0
        self.retry: FrozenBatch | None = None

    @rule(count=st.sampled_from([1, 2, 9, 10, 11, 300, 2100]), long=st.booleans(), spooled=st.booleans())
    @precondition(lambda self: not self.closing)
    def add(self, count: int, long: bool, spooled: bool) -> None:
        text, speaker = (LONGEST_TEXT, WIDEST_SPEAKER) if long else ("hello", WIDEST_SPEAKER)
        for _ in range(min(count, 300) if long else count):
            one = line(self.producer, next(self.numbers), text, speaker)
            self.spool.away = not spooled
            offset = self.spool.append(one)
            taken = self.buffer.add(one, now=self.now, spool_offset=offset)
            assert taken or offset is None, "a line that the spool has is never lost"
            (self.taken if taken else self.lost).add(one.seq)
            self.added_at[one.seq] = self.now

    @rule()
    @precondition(lambda self: not self.closing)
    def skip_a_number(self) -> None:
        self.lost.add(next(self.numbers))

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.0, 2.9, 3.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(position=st.integers(0, 5000))
    @precondition(lambda self: len(self.spool.kept) > 1)
    def damage_the_spool(self, position: int) -> None:
        kept = self.spool.kept
        victim = kept[position % len(kept)]
        self.spool._kept[position % len(kept)] = line(self.producer, 1, "damaged") if self.first > 1 else victim
        if self.first > 1:
            self.broken.add(victim.seq)

    @rule()
    def close(self) -> None:
        self.closing = True
        self.buffer.close()

    @rule(succeed=st.booleans(), steps=st.integers(1, 20))
    def deliver(self, succeed: bool, steps: int) -> None:
        for _ in range(steps):
            if not self._act(self.buffer.next(self.now), succeed):
                return

    def _act(self, action: Action, succeed: bool) -> bool:
        """Do it; False when there is nothing more to do now."""
        match action:
            case Finished():
                assert self.stored[-1].kind == "close"
                return False
            case Wait(seconds):
                self._check_wait(seconds)
                return False
            case ReadSpool(first, last, offset):
                held = self.buffer.ram_lines
                lines, rest = self.spool.read(first, last, offset, max_lines=BACKLOG_LINES, max_bytes=BACKLOG_BYTES)
                self.buffer.refill(lines, rest)
                assert self.buffer.ram_lines >= held
                return True
            case Send(batch):
                self._send(batch, succeed)
                return succeed
        raise AssertionError(action)

    def _send(self, batch: FrozenBatch, succeed: bool) -> None:
        assert self.retry is None or batch is self.retry, "a retry sends the same bytes"
        assert self.now >= self.not_before, "earlier than the wait after the last failure"
        assert len(batch.data) <= MAX_BATCH_BYTES
        if self.retry is None:
            self._check_due(batch)
        if not succeed:
            self.retry = batch
            self.failures += 1
            self.buffer.failed(self.now)
            assert self.buffer.circuit_open == (self.failures >= 3)
            self.not_before = self.now + (
                PROBE_SECONDS if self.failures >= 3 else RETRY.wait_seconds(self.failures, lambda: 0.5)
            )
            return
        self.stored.append(decode_batch(batch.data))
        assert self.buffer.acknowledged() == batch.last_seq
        self.spool.acknowledge(batch.last_seq)
        assert not self.buffer.circuit_open
        self.retry, self.failures, self.not_before = None, 0, 0.0

    def _check_due(self, batch: FrozenBatch) -> None:
        """A batch of lines is sent when it is due, not earlier."""
        if batch.kind != "lines" or self.closing or self.lost or self.spool.kept:
            return
        old = self.now - self.added_at.get(batch.first_seq, -FLUSH_SECONDS) >= FLUSH_SECONDS - 1e-9
        assert old or self.buffer.ram_lines >= FLUSH_LINES

    def _check_wait(self, seconds: float | None) -> None:
        if self.retry is not None:
            assert seconds is not None
            assert abs(seconds - (self.not_before - self.now)) < 1e-9, "neither earlier nor later than the backoff says"
            return
        assert not self.closing, "closing, and nothing in the way"
        if seconds is None:
            assert self.buffer.ram_lines == 0
            assert self._pending() == []
            return
        oldest = min(self._pending())
        assert abs(self.added_at[oldest] + FLUSH_SECONDS - self.now - seconds) < 1e-9
        assert 0 < seconds <= FLUSH_SECONDS + 1e-9

    def _pending(self) -> list[int]:
        done = self.stored_seqs()
        return [seq for seq in self.added_at if seq not in done]

    def stored_seqs(self) -> set[int]:
        return {seq for batch in self.stored for seq in range(batch.first_seq, batch.last_seq + 1)}

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "buffer"):
            assert 0 <= self.buffer.ram_lines <= MAX_RAM_LINES
            assert 0 <= self.buffer.ram_bytes <= MAX_RAM_BYTES

    def teardown(self) -> None:
        """Whatever happened: the stream comes back, and then every number is there once, in order."""
        if not hasattr(self, "buffer"):
            return
        self.closing = True
        self.buffer.close()
        self.now += PROBE_SECONDS
        while self._act(self.buffer.next(self.now), succeed=True):
            self.memory_is_bounded()
        assert isinstance(self.buffer.next(self.now), Finished)
        carried = [seq for batch in self.stored for seq in range(batch.first_seq, batch.last_seq + 1) if seq]
        known = max(self.added_at, default=0)  # a number skipped after it was never given to a line
        assert carried == list(range(self.first, known + 1))
        lines = {line.seq for batch in self.stored for line in batch.lines}
        assert lines >= self.taken - self.broken
        assert not lines & self.lost
        assert [batch.kind for batch in self.stored].count("open") == 1
        assert self.stored[0].kind == "open"
        assert self.stored[-1].kind == "close"
        assert self.stored[-1].high_water == max(known, self.first - 1)
        assert (self.buffer.ram_lines, self.buffer.ram_bytes) == (0, 0)


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=150, stateful_step_count=30, suppress_health_check=list(HealthCheck))
