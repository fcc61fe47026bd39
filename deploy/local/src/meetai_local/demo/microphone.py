"""A microphone that never stops: silence in real time, and recordings when someone speaks.

Owns the pace of audio frames and the wall-clock times of speech. Must not know rooms or tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from livekit import rtc
from msgspec import Struct

from meetai_local.speech import SAMPLE_RATE_HZ, Recording

_FRAME_SECONDS: Final = 0.02
_FRAME_SAMPLES: Final = round(SAMPLE_RATE_HZ * _FRAME_SECONDS)
_FRAME_BYTES: Final = _FRAME_SAMPLES * 2
_SILENCE: Final = bytes(_FRAME_BYTES)
_LEAD_SECONDS: Final = 0.5
"""How far frames run ahead of their time, so that a busy machine doesn't starve the encoder; the source holds 1 s."""
_CAPTURE_TIMEOUT_SECONDS: Final = 15.0
"""For one frame: an engine that takes none for so long has stalled."""
_LATE_SECONDS: Final = 60.0
"""How much longer than it lasts a recording may take: with ten busy processes a core, frames are taken seconds late."""


class Spoken(Struct, frozen=True):
    """When a recording was said: its first and its last sample, Unix milliseconds."""

    started_ms: int
    ended_ms: int


class _Queued:
    """A recording on its way out, and the caller that waits for its end."""

    def __init__(self, pcm: bytes) -> None:
        self.frames = deque(pcm[at : at + _FRAME_BYTES] for at in range(0, len(pcm), _FRAME_BYTES))
        self.started_ms: int | None = None
        self.spoken: asyncio.Future[Spoken] = asyncio.get_running_loop().create_future()


class Microphone:
    """An audio source that plays while the context is open: `async with Microphone() as microphone`."""

    def __init__(self) -> None:
        self.source = rtc.AudioSource(SAMPLE_RATE_HZ, 1)
        self._queue: deque[_Queued] = deque()
        self._group = asyncio.TaskGroup()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._pump = self._group.create_task(self._play(), name="microphone")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pump is not None:
            self._pump.cancel()
        try:
            if isinstance(error, asyncio.CancelledError):  # from outside, or because the pump failed: the group knows
                await self._group.__aexit__(kind, error, trace)
            else:  # the user's own error goes on as it is, not within a group
                await self._group.__aexit__(None, None, None)
        finally:
            await self.source.aclose()

    async def say(self, recording: Recording) -> Spoken:
        """Say a recording after whatever is being said, and return when its last sample has been played.

        Raises:
            TimeoutError: the audio engine has stalled.
        """
        waiting_seconds = sum(len(queued.frames) for queued in self._queue) * _FRAME_SECONDS
        queued = _Queued(recording.pcm)
        self._queue.append(queued)
        async with asyncio.timeout(waiting_seconds + recording.duration_seconds + _LATE_SECONDS):
            spoken = await queued.spoken
        await asyncio.sleep(max(0.0, spoken.ended_ms / 1000 - time.time()))
        return spoken

    async def _play(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + _LEAD_SECONDS  # when the next frame is heard
        while True:
            async with asyncio.timeout(_CAPTURE_TIMEOUT_SECONDS):
                await self.source.capture_frame(self._next_frame(round((time.time() + due - clock()) * 1000)))
            due = max(due + _FRAME_SECONDS, clock())  # after a stall the rest is late too, and says so
            await asyncio.sleep(max(0.0, due - _LEAD_SECONDS - clock()))

    def _next_frame(self, heard_ms: int) -> rtc.AudioFrame:
        samples = _SILENCE
        if self._queue:
            saying = self._queue[0]
            if saying.started_ms is None:
                saying.started_ms = heard_ms
            samples = saying.frames.popleft()
            if not saying.frames:
                self._queue.popleft()
                ended_ms = heard_ms + round(len(samples) / 2 / SAMPLE_RATE_HZ * 1000)
                if not saying.spoken.done():
                    saying.spoken.set_result(Spoken(started_ms=saying.started_ms, ended_ms=ended_ms))
        return rtc.AudioFrame(samples.ljust(_FRAME_BYTES, b"\0"), SAMPLE_RATE_HZ, 1, _FRAME_SAMPLES)
