"""Utterances on their way from the voice activity detector to the recogniser: bounded, and never waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from livekit import rtc

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ

MAX_WAITING: Final = 32
"""At most 32 x 25 s of 16-bit audio, 26 MB, wait for one participant's recogniser."""


class Utterance:
    """Speech between two pauses: its audio, where in the stream and when it was. Without audio it can't be recognised."""

    def __init__(self, first_sample: int, *, started_ms: int = 0) -> None:
        self.first_sample = first_sample
        self.last_sample = first_sample
        self.started_ms = started_ms
        self.ended_ms = started_ms
        self.audio = bytearray()

    def extend(self, frames: Sequence[rtc.AudioFrame], last_sample: int) -> None:
        """Take what follows."""
        for frame in frames:
            self.audio.extend(frame.data.cast("b"))
        self.last_sample = last_sample

    def frame(self) -> rtc.AudioFrame:
        """All of it as one frame."""
        return rtc.AudioFrame(bytes(self.audio), SAMPLE_RATE_HZ, 1, len(self.audio) // 2)


class UtteranceQueue:
    """First in, first out. When too many wait the next keep their times and lose their audio, joined into one."""

    def __init__(self) -> None:
        self._waiting: deque[Utterance] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, utterance: Utterance) -> None:
        """Add one; never waits."""
        last = self._waiting[-1] if self._waiting else None
        if len(self._waiting) >= MAX_WAITING:
            utterance.audio.clear()
        if last is not None and not last.audio and not utterance.audio:
            last.ended_ms = max(last.ended_ms, utterance.ended_ms)
        else:
            self._waiting.append(utterance)
        self._changed.set()

    def close(self) -> None:
        """No more come."""
        self._closed = True
        self._changed.set()

    async def get(self) -> Utterance | None:
        """The next one; None once closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
