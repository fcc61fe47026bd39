"""Recognisers that take whole utterances, made to listen to a stream: voice activity cuts it, the recogniser reads the cuts.

The framework has `stt.StreamAdapter` for this. It stamps times when it gets round to an event, which is late while the
recogniser is busy, and its voice activity detector ignores what is said beyond a minute without a pause. A transcript needs
true times and every word, so the cutting is here: times come from the position in the audio, and long speech is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import uuid4

import structlog
from livekit import rtc
from livekit.agents import APIConnectOptions, stt, vad
from livekit.agents.types import NOT_GIVEN

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.adapters.utterances import Utterance, UtteranceQueue
from meetai_agent.domain.audio_time import AudioClock
from meetai_agent.domain.heard import MAX_UTTERANCE_SECONDS, FinalWords, Heard, Unrecognised
from meetai_agent.ports import Clock, OnVoice

MAX_UTTERANCE_SAMPLES: Final = int(MAX_UTTERANCE_SECONDS * SAMPLE_RATE_HZ)
SILENCE_SECONDS: Final = 1.0
"""Silence put after the last frame, and where frames stay away so long, so that speech cut off there ends like any other."""
MAX_LAG_SECONDS: Final = 60.0
"""A detector that is further behind than this gets no more audio until it has caught up: 2 MB a participant."""
RECOGNISE: Final = APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=20.0)

log = structlog.get_logger()


class SegmentedEar:
    """`ports.Ear` by a voice activity detector and a recogniser of whole utterances."""

    def __init__(self, recogniser: stt.STT[str], detector: vad.VAD, *, language: str | None, clock: Clock) -> None:
        self._recogniser = recogniser
        self._detector = detector
        self._language = language
        self._clock = clock

    async def listen(
        self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
    ) -> AsyncGenerator[Heard, None]:
        """What is said in the frames; a sentence arrives when the pause after it has been recognised."""
        activity = self._detector.stream()
        segmenter = _Segmenter(activity, on_voice, clock=self._clock)
        tasks = [
            asyncio.create_task(segmenter.push(frames), name="ear-push"),
            asyncio.create_task(segmenter.cut(), name="ear-cut"),
        ]
        try:
            while (utterance := await segmenter.utterances.get()) is not None:
                yield await self._recognise(utterance)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await activity.aclose()

    async def _recognise(self, utterance: Utterance) -> Heard:
        failed = Unrecognised(utterance.started_ms, utterance.ended_ms)
        if not utterance.audio:
            log.error("recogniser_too_slow")
            return failed
        try:
            event = await self._recogniser.recognize(
                utterance.frame(), language=self._language or NOT_GIVEN, conn_options=RECOGNISE
            )
        except Exception:
            log.exception("recogniser_failed")
            return failed
        best = event.alternatives[0] if event.alternatives else None
        return FinalWords(
            segment=uuid4().hex,
            text=best.text if best else "",
            started_ms=utterance.started_ms,
            ended_ms=utterance.ended_ms,
            language=str(best.language) if best and best.language else self._language,
            confidence=min(1.0, best.confidence) if best and best.confidence > 0 else None,
        )


class _Segmenter:
    """One participant's audio on its way through the detector into utterances."""

    def __init__(self, activity: vad.VADStream, on_voice: OnVoice, *, clock: Clock) -> None:
        self.utterances = UtteranceQueue()
        self._activity = activity
        self._on_voice = on_voice
        self._clock = clock
        self._position = AudioClock(SAMPLE_RATE_HZ)
        self._pushed = 0
        self._examined = 0
        self._overrun: Utterance | None = None

    async def push(self, frames: AsyncGenerator[rtc.AudioFrame, None]) -> None:
        """Give the frames to the detector until they end."""
        loop = asyncio.get_running_loop()
        silence: asyncio.TimerHandle | None = None
        try:
            async with aclosing(frames):
                async for frame in frames:
                    if silence is not None:
                        silence.cancel()
                    self._examine(frame)
                    silence = loop.call_later(SILENCE_SECONDS, self._examine_silence)
        finally:
            if silence is not None:
                silence.cancel()
            self._finish_overrun()
            self._activity.push_frame(_silence())
            self._activity.end_input()

    async def cut(self) -> None:
        """Cut the stream into utterances until the detector ends or fails; then the queue ends."""
        speaking: Utterance | None = None
        try:
            async for event in self._activity:
                self._examined = event.samples_index
                match event.type:
                    case vad.VADEventType.START_OF_SPEECH:
                        self._on_voice(True)
                        speaking = Utterance(event.samples_index - int(event.speech_duration * SAMPLE_RATE_HZ))
                        speaking.extend(event.frames, event.samples_index)
                    case vad.VADEventType.INFERENCE_DONE if speaking is not None:
                        speaking.extend(event.frames, event.samples_index)
                        if len(speaking.audio) // 2 >= MAX_UTTERANCE_SAMPLES:
                            self._put(speaking)
                            speaking = Utterance(event.samples_index)
                    case vad.VADEventType.END_OF_SPEECH if speaking is not None:
                        silence = int(event.silence_duration * SAMPLE_RATE_HZ)
                        speaking.last_sample = max(speaking.first_sample, event.samples_index - silence)
                        self._put(speaking)
                        speaking = None
                        self._on_voice(False)
        finally:
            if speaking is not None:
                self._put(speaking)
            self.utterances.close()

    def _examine(self, frame: rtc.AudioFrame) -> None:
        arrived_ms = self._clock.unix_ms()
        if self._pushed - self._examined > MAX_LAG_SECONDS * SAMPLE_RATE_HZ:
            self._overrun = self._overrun or Utterance(self._pushed, started_ms=arrived_ms)
            self._overrun.ended_ms = arrived_ms
            return
        self._finish_overrun()
        self._pushed += frame.samples_per_channel
        self._position.pushed(frame.samples_per_channel, arrived_ms)
        self._activity.push_frame(frame)

    def _examine_silence(self) -> None:
        """No frame has come for so long: an unpublished microphone. What was said before is over."""
        if not self._activity._event_ch.closed:  # noqa: SLF001 - there is no public way to ask
            self._examine(_silence())

    def _finish_overrun(self) -> None:
        if self._overrun is not None:
            log.error("detector_too_slow")
            self.utterances.put(self._overrun)
            self._overrun = None

    def _put(self, utterance: Utterance) -> None:
        utterance.started_ms = self._position.unix_ms(utterance.first_sample)
        utterance.ended_ms = self._position.unix_ms(utterance.last_sample)
        self.utterances.put(utterance)


def _silence() -> rtc.AudioFrame:
    return rtc.AudioFrame.create(SAMPLE_RATE_HZ, 1, int(SILENCE_SECONDS * SAMPLE_RATE_HZ))
