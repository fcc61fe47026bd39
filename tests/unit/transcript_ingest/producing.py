"""A producer of batches, as the agent is one: lines through the contracts, `seq` from 1, bytes frozen once built."""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime

from meetai_contracts.transcript import BatchKind, Speaker, TranscriptBatch, TranscriptLine, encode_batch

SPOKEN_FROM_MS = 1_790_000_000_000


def uuid7(unix_ms: int | None = None) -> uuid.UUID:
    """A UUIDv7 of an instant, now by default (RFC 9562, section 5.7)."""
    ms = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    return uuid.UUID(int=ms << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0b10 << 62 | random.getrandbits(62))


def unix_ms(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000)


class Producer:
    """One agent job in one room; remembers what it said."""

    def __init__(
        self,
        meeting_id: str = "standup",
        *,
        producer_id: uuid.UUID | None = None,
        room_sid: str = "RM_1",
        from_ms: int = 0,
    ) -> None:
        self.meeting_id = meeting_id
        self.producer_id = producer_id or uuid7()
        self.room_sid = room_sid
        self.said: list[TranscriptLine] = []
        self.seq = 0
        self._from_ms = SPOKEN_FROM_MS + from_ms

    def line(self, text: str | None = None, *, seq: int | None = None) -> TranscriptLine:
        """The next line, or another version of line `seq`."""
        if seq is None:
            self.seq += 1
        number = seq or self.seq
        line = TranscriptLine(
            producer_id=self.producer_id,
            seq=number,
            speaker=Speaker(f"user-{number % 3}", f"Zoë {number % 3}", "human" if number % 3 else "agent"),
            text=f"line {number} of {self.meeting_id}" if text is None else text,
            started_ms=self._from_ms + number * 1000,
            ended_ms=self._from_ms + number * 1000 + 800,
            language="en" if number % 2 else None,
            confidence=0.1 + number % 9 / 10 if number % 4 else None,
            interrupted=number % 5 == 0,
            source="microphone" if number % 7 else "screen_share",
        )
        if seq is None:
            self.said.append(line)
        return line

    def batch(self, *lines: TranscriptLine) -> TranscriptBatch:
        """These lines, which follow one another, as a batch."""
        return self._batch("lines", lines[0].seq, lines[-1].seq, lines)

    def say(self, count: int) -> bytes:
        """A stream entry with the next `count` lines."""
        return encode_batch(self.batch(*[self.line() for _ in range(count)]))

    def lose(self, count: int) -> bytes:
        """A stream entry that names the next `count` lines as lost."""
        first = self.seq + 1
        self.seq += count
        return encode_batch(self._batch("gap", first, self.seq))

    def open(self) -> bytes:
        return encode_batch(self._batch("open", 0, 0))

    def close(self) -> bytes:
        return encode_batch(self._batch("close", 0, 0))

    def _batch(self, kind: BatchKind, first: int, last: int, lines: tuple[TranscriptLine, ...] = ()) -> TranscriptBatch:
        return TranscriptBatch(
            v=1,
            kind=kind,
            meeting_id=self.meeting_id,
            room_sid=self.room_sid,
            producer_id=self.producer_id,
            first_seq=first,
            last_seq=last,
            high_water=max(self.seq, last),
            lines=lines,
        )
