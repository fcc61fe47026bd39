"""Recorded speech for ears, faster than real time, on a clock by which it arrives at its pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from livekit import rtc
from livekit.agents import inference
from tests.unit.agent.fakes import RecordingMeter, VirtualClock

from meetai_agent.adapters.providers.recognisers import MIN_SILENCE_SECONDS
from meetai_agent.adapters.recogniser import Recogniser
from meetai_agent.adapters.segmented_ear import MAX_AGE_SECONDS, SegmentedEar
from meetai_agent.domain.heard import FinalWords, Heard, Voice
from meetai_agent.ports import OnVoice
from meetai_local.speech import Line, load_recording

RATE = 16_000
FRAME_SAMPLES = 800
BYTES_A_SECOND = RATE * 2


def speech(line: Line) -> bytes:
    return load_recording(line.wav).pcm


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * RATE) * 2)


def unnoticed(_voice: Voice) -> None:
    """Nobody asks who speaks."""


class ArrivalClock(VirtualClock):
    """The wall clock goes by the audio, so that times can be checked; the other is real, for rests and ages."""

    def monotonic(self) -> float:
        return time.monotonic()


class Audio:
    """Frames of some audio, and the clock by which they arrive."""

    def __init__(self, pcm: bytes, *, pace: float = 50.0) -> None:
        self.clock = ArrivalClock()
        self.started_ms = self.clock.unix_ms()
        self.closed = False
        self._pcm = pcm
        self._pace = pace

    async def frames(self, then: asyncio.Event | None = None) -> AsyncGenerator[rtc.AudioFrame, None]:
        """All of it, then nothing until the event; `pace` times faster than real time."""
        step = FRAME_SAMPLES * 2
        try:
            for at in range(0, len(self._pcm), step):
                samples = self._pcm[at : at + step]
                self.clock.now += len(samples) / BYTES_A_SECOND
                yield rtc.AudioFrame(samples, RATE, 1, len(samples) // 2)
                if at % BYTES_A_SECOND < step:
                    await asyncio.sleep(1 / self._pace)
            if then is not None:
                await then.wait()
        finally:
            self.closed = True


def ear_of(
    audio: Audio,
    recognisers: Sequence[Recogniser],
    *,
    language: Callable[[], str | None] = lambda: "en",
    meter: RecordingMeter | None = None,
    max_age_seconds: float = MAX_AGE_SECONDS,
) -> SegmentedEar:
    """An ear with the real detector."""
    return SegmentedEar(
        recognisers,
        inference.VAD(min_silence_duration=MIN_SILENCE_SECONDS),
        language=language,
        clock=audio.clock,
        meter=meter or RecordingMeter(),
        max_age_seconds=max_age_seconds,
    )


async def all_heard(ear: SegmentedEar, audio: Audio, on_voice: OnVoice = unnoticed) -> list[Heard]:
    """Everything that the ear hears in the audio."""
    async with asyncio.timeout(60):
        return [heard async for heard in ear.listen(audio.frames(), on_voice)]


def finals(heard: Sequence[Heard]) -> list[FinalWords]:
    return [each for each in heard if isinstance(each, FinalWords)]
