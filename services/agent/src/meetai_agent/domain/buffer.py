"""The buffer between a meeting and the stream: which batch is due when, and what is done when it isn't accepted.

Pure: the caller brings the time and the outcome of each attempt, and does what `next` says. The rules are DESIGN's: flush
after 3 s or 10 lines, three attempts with exponential backoff, then back to the front with the circuit open and one probe
every 3 s. Bounded in lines and bytes: what doesn't fit is left in the spool, and what isn't in the spool is named lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from meetai_agent.domain.batches import Action, Finished, FrozenBatch, Producer, ReadSpool, Send, Wait
from meetai_contracts.transcript import (
    MAX_BATCH_BYTES,
    BatchKind,
    TranscriptBatch,
    TranscriptLine,
    encode_batch,
    encoded_line_bytes,
)
from meetai_servicekit.backoff import Backoff

FLUSH_LINES: Final = 10
FLUSH_SECONDS: Final = 3.0
ATTEMPTS: Final = 3
PROBE_SECONDS: Final = 3.0
MAX_RAM_LINES: Final = 2_000
MAX_RAM_BYTES: Final = 4 * 1024 * 1024
BACKLOG_LINES: Final = 250
"""Most lines in one batch; only a backlog makes one this large."""
BACKLOG_BYTES: Final = MAX_BATCH_BYTES - 8 * 1024
"""Leaves room for the batch's own fields: two ids of at most 256 bytes, and numbers."""

RETRY: Final = Backoff(first_seconds=0.2, limit_seconds=2.0)


class _Waiting(Struct):
    line: TranscriptLine
    size_bytes: int
    since: float


class _Spilled(Struct):
    first_seq: int
    last_seq: int
    offset: int


class _Lost(Struct):
    first_seq: int
    last_seq: int


class TranscriptBuffer:
    """A producer's lines that the stream hasn't acknowledged yet, in order.

    Args:
        producer: Whose lines they are.
        random: Gives [0, 1), for jitter.
        acknowledged_seq: Lines up to here are already in the stream; not 0 only when a spool is replayed.
    """

    def __init__(self, producer: Producer, *, random: Callable[[], float], acknowledged_seq: int = 0) -> None:
        self._producer = producer
        self._random = random
        self._high_water = acknowledged_seq
        self._entries: deque[_Waiting | _Spilled | _Lost] = deque()
        self._spilled = 0
        self._ram_lines = 0
        self._ram_bytes = 0
        self._frozen: FrozenBatch | None = None
        self._frozen_bytes = 0
        self._opened = False
        self._closing = False
        self._closed = False
        self._failures = 0
        self._circuit_open = False
        self._not_before = 0.0

    @property
    def high_water(self) -> int:
        """The highest `seq` given so far."""
        return self._high_water

    @property
    def ram_lines(self) -> int:
        """Unacknowledged lines held in memory."""
        return self._ram_lines

    @property
    def ram_bytes(self) -> int:
        """What they take, as encoded."""
        return self._ram_bytes

    @property
    def circuit_open(self) -> bool:
        """Three attempts have failed, and no probe has succeeded since."""
        return self._circuit_open

    def add(self, line: TranscriptLine, *, now: float, spool_offset: int | None) -> bool:
        """Take the next line. `spool_offset` says where the spool has it, None that it hasn't.

        Returns:
            False when the line is lost: neither memory nor the spool could take it. A `gap` will name it.
        """
        if line.seq > self._high_water + 1:
            self.lose(line.seq - 1)
        self._high_water = line.seq
        size = encoded_line_bytes(line)
        fits = self._fits(size)
        behind_spilled = bool(self._entries) and isinstance(self._entries[-1], _Spilled)
        if fits and (spool_offset is None or not behind_spilled):
            self._entries.append(_Waiting(line, size, now))
            self._hold(1, size)
        elif spool_offset is not None:
            self._spill(line.seq, line.seq, spool_offset)
        else:
            self._lose(line.seq, line.seq)
            return False
        return True

    def lose(self, seq: int) -> None:
        """Numbers up to `seq` were given to what has no line: a `gap` will name them."""
        self._lose(self._high_water + 1, seq)
        self._high_water = seq

    def recover(self, last_seq: int, *, spool_offset: int) -> None:
        """Take over from a dead job: it gave numbers up to `last_seq`, and the spool has the lines from `spool_offset` on."""
        if last_seq > self._high_water:
            self._spill(self._high_water + 1, last_seq, spool_offset)
            self._high_water = last_seq

    def close(self) -> None:
        """No more lines come: everything is due at once, and `close` after it."""
        self._closing = True

    def next(self, now: float) -> Action:
        """What to do now."""
        if self._closed:
            return Finished()
        if self._frozen is None:
            waiting = self._freeze_or_wait(now)
            if waiting is not None:
                return waiting
        assert self._frozen is not None  # noqa: S101 - for the type checker: just frozen
        if now < self._not_before:
            return Wait(self._not_before - now)
        return Send(self._frozen)

    def acknowledged(self) -> int:
        """The stream has the batch. Returns the highest `seq` that needs no keeping any more, 0 if none."""
        frozen = self._frozen
        assert frozen is not None  # noqa: S101 - the caller answers a Send
        self._frozen = None
        self._hold(-(frozen.last_seq - frozen.first_seq + 1) if frozen.kind == "lines" else 0, -self._frozen_bytes)
        self._frozen_bytes = 0
        self._failures = 0
        self._circuit_open = False
        self._not_before = 0.0
        self._opened = self._opened or frozen.kind == "open"
        self._closed = frozen.kind == "close"
        return frozen.last_seq

    def failed(self, now: float) -> None:
        """The stream didn't confirm the batch; it stays at the front as it is."""
        self._failures += 1
        if self._circuit_open or self._failures >= ATTEMPTS:
            self._circuit_open = True
            self._not_before = now + PROBE_SECONDS
        else:
            self._not_before = now + RETRY.wait_seconds(self._failures, self._random)

    def refill(self, lines: Sequence[TranscriptLine], next_offset: int | None) -> None:
        """Answer a `ReadSpool` with the lines found, in order, and where the rest begins (None: there is no rest).

        What should have been there and isn't, is lost. What wasn't asked for is ignored: the spool also has lines that
        are in memory behind these.
        """
        spilled = self._entries.popleft()
        assert isinstance(spilled, _Spilled)  # noqa: S101 - the caller answers a ReadSpool
        self._spilled -= 1
        back: list[_Waiting | _Spilled | _Lost] = []
        expected = spilled.first_seq
        for line in lines:
            if not expected <= line.seq <= spilled.last_seq:
                continue
            if line.seq > expected:
                back.append(_Lost(expected, line.seq - 1))
            size = encoded_line_bytes(line)
            back.append(_Waiting(line, size, -FLUSH_SECONDS))
            self._hold(1, size)
            expected = line.seq + 1
        if expected <= spilled.last_seq:
            rest: _Spilled | _Lost = _Lost(expected, spilled.last_seq)
            if next_offset is not None and lines:
                rest = _Spilled(expected, spilled.last_seq, next_offset)
                self._spilled += 1
            back.append(rest)
        self._entries.extendleft(reversed(back))

    def _freeze_or_wait(self, now: float) -> Wait | ReadSpool | None:
        """Freeze the batch that is due; or say what has to happen before there is one."""
        front = self._entries[0] if self._entries else None
        if not self._opened:
            self._freeze("open")
        elif front is None:
            if not self._closing:
                return Wait(None)
            self._freeze("close")
        elif isinstance(front, _Spilled):
            return ReadSpool(front.first_seq, front.last_seq, front.offset)
        elif isinstance(front, _Lost):
            self._entries.popleft()
            self._freeze("gap", front.first_seq, front.last_seq)
        else:
            due = front.since + FLUSH_SECONDS
            if not self._closing and now < due and not self._enough_lines():
                return Wait(due - now)
            self._freeze_lines()
        return None

    def _enough_lines(self) -> bool:
        if len(self._entries) < FLUSH_LINES:
            return False
        return self._ram_lines >= FLUSH_LINES or not isinstance(self._entries[-1], _Waiting)

    def _freeze_lines(self) -> None:
        lines: list[TranscriptLine] = []
        size = 0
        while self._entries and len(lines) < BACKLOG_LINES:
            front = self._entries[0]
            if not isinstance(front, _Waiting) or (lines and size + front.size_bytes > BACKLOG_BYTES):
                break
            self._entries.popleft()
            lines.append(front.line)
            size += front.size_bytes
        self._frozen_bytes = size
        self._freeze("lines", lines[0].seq, lines[-1].seq, tuple(lines))

    def _freeze(self, kind: BatchKind, first: int = 0, last: int = 0, lines: tuple[TranscriptLine, ...] = ()) -> None:
        batch = TranscriptBatch(
            v=1,
            kind=kind,
            meeting_id=self._producer.meeting_id,
            room_sid=self._producer.room_sid,
            producer_id=self._producer.id,
            first_seq=first,
            last_seq=last,
            high_water=self._high_water,
            lines=lines,
        )
        self._frozen = FrozenBatch(kind, first, last, encode_batch(batch))

    def _fits(self, size_bytes: int) -> bool:
        """Whether memory takes another line. While lines wait in the spool, the room to read a batch of them stays free."""
        lines, in_bytes = self._ram_lines + 1, self._ram_bytes + size_bytes
        if self._spilled:
            lines, in_bytes = lines + BACKLOG_LINES, in_bytes + BACKLOG_BYTES
        return lines <= MAX_RAM_LINES and in_bytes <= MAX_RAM_BYTES

    def _spill(self, first: int, last: int, offset: int) -> None:
        tail = self._entries[-1] if self._entries else None
        if isinstance(tail, _Spilled) and tail.last_seq + 1 == first:
            tail.last_seq = last
        else:
            self._entries.append(_Spilled(first, last, offset))
            self._spilled += 1

    def _lose(self, first: int, last: int) -> None:
        """Name them lost in their turn; behind spilled lines, reading the spool will show that they aren't there."""
        tail = self._entries[-1] if self._entries else None
        if isinstance(tail, _Lost | _Spilled) and tail.last_seq + 1 == first:
            tail.last_seq = last
        else:
            self._entries.append(_Lost(first, last))

    def _hold(self, lines: int, size_bytes: int) -> None:
        self._ram_lines += lines
        self._ram_bytes += size_bytes
