"""The agent's ports without an outside: they keep the ports' promises, and fail when a test says so."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress

from livekit import rtc

from meetai_agent.domain.batches import Producer
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.domain.heard import Heard, Voice
from meetai_agent.ports import OnVoice
from meetai_contracts.transcript import LiveTranscript, TranscriptLine, encoded_line_bytes


class VirtualClock:
    """`ports.Clock` that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def unix_ms(self) -> int:
        return 1_700_000_000_000 + round(self.now * 1000)

    def monotonic(self) -> float:
        return self.now


class MemoryStream:
    """`ports.BatchStream` in memory.

    Attributes:
        entries: What a store would read, in order.
        attempts: What was tried, landed or not.
        failing: Each attempt fails without landing.
        cut_replies: So many attempts land and are reported as failures.
        held: While set, attempts hang.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[str, bytes]] = []
        self.attempts: list[bytes] = []
        self.failing = False
        self.cut_replies = 0
        self.held: asyncio.Event | None = None

    async def append(self, meeting_id: str, batch: bytes) -> None:
        self.attempts.append(batch)
        await asyncio.sleep(0)  # as any network would, let others run
        if self.held is not None:
            await self.held.wait()
        if self.failing:
            raise StreamUnavailableError("ConnectionError")
        self.entries.append((meeting_id, batch))
        if self.cut_replies:
            self.cut_replies -= 1
            raise StreamUnavailableError("TimeoutError")

    def batches(self) -> list[bytes]:
        return [batch for _, batch in self.entries]


class MemoryDisk:
    """What `MemorySpool`s leave behind: `ports.DeadSpools`."""

    def __init__(self) -> None:
        self.spools: list[MemorySpool] = []
        self.aside: list[MemorySpool] = []

    def claim(self) -> list[MemorySpool]:
        dead = [spool for spool in self.spools if not spool.locked]
        for spool in dead:
            spool.locked = True
        return dead


class MemorySpool:
    """`ports.Spool`, and `ports.DeadSpool` once released, in memory; an offset is a place in its list."""

    first_offset = 0

    def __init__(self, disk: MemoryDisk, producer: Producer, *, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.producer = producer
        self.away = False
        self.locked = True
        self.acknowledged_seq = 0
        self.last_seq = 0
        self._disk = disk
        self._max_bytes = max_bytes
        self._kept: list[TranscriptLine] = []
        disk.spools.append(self)

    @property
    def kept(self) -> list[TranscriptLine]:
        return list(self._kept)

    def append(self, line: TranscriptLine) -> int | None:
        self.last_seq = line.seq
        held = sum(encoded_line_bytes(kept) for kept in self._kept) if self._max_bytes < 2**20 else 0
        if self.away or not self.locked or held + encoded_line_bytes(line) > self._max_bytes:
            return None
        self._kept.append(line)
        return len(self._kept) - 1

    def skip(self, seq: int) -> None:
        self.last_seq = seq

    def acknowledge(self, seq: int) -> None:
        self.acknowledged_seq = seq
        if seq >= self.last_seq:
            self._kept.clear()

    def read(
        self, first_seq: int, last_seq: int, offset: int, *, max_lines: int, max_bytes: int
    ) -> tuple[list[TranscriptLine], int | None]:
        lines: list[TranscriptLine] = []
        size = 0
        for at, line in enumerate(self._kept[offset:], offset):
            if not first_seq <= line.seq <= last_seq:
                continue
            size += encoded_line_bytes(line)
            if lines and (len(lines) == max_lines or size > max_bytes):
                return lines, at
            lines.append(line)
        return lines, None

    def remove(self) -> None:
        with suppress(ValueError):
            self._disk.spools.remove(self)

    def release(self) -> None:
        self.locked = False

    def set_aside(self) -> None:
        self.remove()
        self._disk.aside.append(self)


class RecordingMeter:
    """`ports.JobMeter` that a test can ask."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.waits: defaultdict[str, list[float]] = defaultdict(list)

    def line_numbered(self) -> None:
        self.counts["line_numbered"] += 1

    def line_lost(self) -> None:
        self.counts["line_lost"] += 1

    def batch_sent(self, kind: str) -> None:
        self.counts[f"batch_sent:{kind}"] += 1

    def attempt_failed(self) -> None:
        self.counts["attempt_failed"] += 1

    def spool_failed(self) -> None:
        self.counts["spool_failed"] += 1

    def caption_dropped(self) -> None:
        self.counts["caption_dropped"] += 1

    def recogniser_failed(self, name: str) -> None:
        self.counts[f"recogniser_failed:{name}"] += 1

    def speech_unrecognised(self) -> None:
        self.counts["speech_unrecognised"] += 1

    def speech_recognised(self, seconds: float) -> None:
        self.waits["recognition"].append(seconds)

    def caption_published(self, topic: str, seconds: float) -> None:
        self.waits[topic].append(seconds)


class RecordingCaptions:
    """`ports.Captions` that keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[LiveTranscript] = []

    def publish(self, caption: LiveTranscript) -> None:
        self.published.append(caption)


class ScriptedEar:
    """`ports.Ear` that hears what it was told, one thing a frame, and the rest when the frames have ended.

    It notices a voice before the first thing it hears, and no pause.
    """

    def __init__(self, heard: Iterable[Heard]) -> None:
        self._heard = list(heard)

    async def listen(
        self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
    ) -> AsyncGenerator[Heard, None]:
        if self._heard:
            on_voice("noticed")
            on_voice("speaking")
        async for _ in frames:
            if self._heard:
                yield self._heard.pop(0)
        for heard in self._heard:
            yield heard


class ScriptedMicrophone:
    """`ports.Microphone` whose frames a test gives."""

    def __init__(self) -> None:
        self.closed = self.stopped = False
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()

    def pick_up(self) -> None:
        self._frames.put_nowait(rtc.AudioFrame.create(16_000, 1, 160))

    async def frames(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        try:
            while (frame := await self._frames.get()) is not None:
                yield frame
        finally:
            self.closed = True

    def stop(self) -> None:
        self.stopped = True
        self._frames.put_nowait(None)


class RecordingFollower:
    """`ports.Follower` that keeps what it is told, or fails each time."""

    def __init__(self, *, failing: bool = False) -> None:
        self.told: list[str] = []
        self._failing = failing

    def line_added(self, line: TranscriptLine) -> None:
        self._tell(line.text)

    def voice_changed(self, identity: str, voice: Voice) -> None:
        self._tell(f"{identity} {voice}")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if self._failing:
            raise RuntimeError("a fault")


async def no_frames() -> AsyncGenerator[rtc.AudioFrame, None]:
    """A microphone that ends at once."""
    for _ in range(0):
        yield rtc.AudioFrame.create(16_000, 1, 160)
