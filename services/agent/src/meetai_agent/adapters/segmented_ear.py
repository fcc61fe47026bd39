"""Recognisers that take whole utterances, made to listen to a stream: voice activity cuts it, the recogniser reads the cuts.

The framework has `stt.StreamAdapter` for this. It stamps times when it gets round to an event, which is late while the
recogniser is busy, and its voice activity detector ignores what is said beyond a minute without a pause. A transcript needs
true times and every word, so the cutting is here: times come from the position in the audio, and long speech is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from uuid import uuid4

import structlog
from livekit import rtc
from livekit.agents import APIConnectOptions, stt, vad
from livekit.agents.types import NOT_GIVEN

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.domain.audio_time import AudioClock
from meetai_agent.domain.heard import MAX_UTTERANCE_SECONDS, FinalWords, Heard, Unrecognised
from meetai_agent.ports import Clock

MAX_WAITING_UTTERANCES: Final = 32
"""At most 32 x 25 s of 16-bit audio, 26 MB, wait for one participant's recogniser."""
MAX_UTTERANCE_SAMPLES: Final = int(MAX_UTTERANCE_SECONDS * SAMPLE_RATE_HZ)
TAIL_SECONDS: Final = 1.0
"""Silence put after the last frame, so that speech cut off by leaving ends like any other."""
RECOGNISE: Final = APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=20.0)

log = structlog.get_logger()


class _Utterance:
    """Speech between two pauses: its audio and where in the stream it was."""

    def __init__(self, first_sample: int) -> None:
        self.first_sample = first_sample
        self.last_sample = first_sample
        self.audio = bytearray()

    def frame(self) -> rtc.AudioFrame:
        return rtc.AudioFrame(bytes(self.audio), SAMPLE_RATE_HZ, 1, len(self.audio) // 2)


class SegmentedEar:
    """`ports.Ear` by a voice activity detector and a recogniser of whole utterances."""

    def __init__(self, recogniser: stt.STT[str], detector: vad.VAD, *, language: str | None, clock: Clock) -> None:
        self._recogniser = recogniser
        self._detector = detector
        self._language = language
        self._clock = clock

    async def listen(self, frames: AsyncIterator[rtc.AudioFrame]) -> AsyncIterator[Heard]:
        """What is said in the frames; a sentence arrives when the pause after it has been recognised."""
        position = AudioClock(SAMPLE_RATE_HZ)
        utterances: asyncio.Queue[_Utterance | None] = asyncio.Queue(MAX_WAITING_UTTERANCES)
        activity = self._detector.stream()
        tasks = [
            asyncio.create_task(self._push(frames, activity, position), name="ear-push"),
            asyncio.create_task(_cut(activity, utterances.put), name="ear-cut"),
        ]
        try:
            while (utterance := await utterances.get()) is not None:
                yield await self._recognise(utterance, position)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await activity.aclose()

    async def _push(self, frames: AsyncIterator[rtc.AudioFrame], activity: vad.VADStream, position: AudioClock) -> None:
        try:
            async for frame in frames:
                position.pushed(frame.samples_per_channel, self._clock.unix_ms())
                activity.push_frame(frame)
        finally:
            silence = rtc.AudioFrame.create(SAMPLE_RATE_HZ, 1, int(TAIL_SECONDS * SAMPLE_RATE_HZ))
            activity.push_frame(silence)
            activity.end_input()

    async def _recognise(self, utterance: _Utterance, position: AudioClock) -> Heard:
        started_ms = position.unix_ms(utterance.first_sample)
        ended_ms = position.unix_ms(utterance.last_sample)
        try:
            event = await self._recogniser.recognize(
                utterance.frame(), language=self._language or NOT_GIVEN, conn_options=RECOGNISE
            )
        except Exception:
            log.exception("recogniser_failed")
            return Unrecognised(started_ms, ended_ms)
        best = event.alternatives[0] if event.alternatives else None
        return FinalWords(
            segment=uuid4().hex,
            text=best.text if best else "",
            started_ms=started_ms,
            ended_ms=ended_ms,
            language=str(best.language) if best and best.language else self._language,
            confidence=min(1.0, best.confidence) if best and best.confidence > 0 else None,
        )


async def _cut(activity: vad.VADStream, put: Callable[[_Utterance | None], Awaitable[None]]) -> None:
    """Cut the stream into utterances. None marks the end, also when the detector fails."""
    speaking: _Utterance | None = None
    try:
        async for event in activity:
            match event.type:
                case vad.VADEventType.START_OF_SPEECH:
                    speech = int(event.speech_duration * SAMPLE_RATE_HZ)
                    speaking = _Utterance(event.samples_index - speech)
                    _extend(speaking, event.frames, event.samples_index)
                case vad.VADEventType.INFERENCE_DONE if speaking is not None:
                    _extend(speaking, event.frames, event.samples_index)
                    if len(speaking.audio) // 2 >= MAX_UTTERANCE_SAMPLES:
                        await put(speaking)
                        speaking = _Utterance(event.samples_index)
                case vad.VADEventType.END_OF_SPEECH if speaking is not None:
                    silence = int(event.silence_duration * SAMPLE_RATE_HZ)
                    speaking.last_sample = max(speaking.first_sample, event.samples_index - silence)
                    await put(speaking)
                    speaking = None
    finally:
        if speaking is not None:
            await put(speaking)
        await put(None)


def _extend(utterance: _Utterance, frames: list[rtc.AudioFrame], last_sample: int) -> None:
    for frame in frames:
        utterance.audio.extend(frame.data.cast("b"))
    utterance.last_sample = last_sample
