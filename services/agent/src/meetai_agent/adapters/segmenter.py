"""One participant's audio on its way through the voice activity detector into utterances.

Owns where an utterance begins and ends, and when that was. The framework's `stt.StreamAdapter` stamps times when it gets round
to an event, and its detector ignores what is said beyond a minute without a pause (ADR 0004); here times come from the position
in the audio, and long speech is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from livekit import rtc
from livekit.agents import vad

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.adapters.utterances import Utterance, UtteranceQueue
from meetai_agent.domain.audio_time import AudioClock
from meetai_agent.domain.heard import MAX_UTTERANCE_SECONDS
from meetai_agent.ports import Clock, OnVoice

MAX_UTTERANCE_SAMPLES: Final = int(MAX_UTTERANCE_SECONDS * SAMPLE_RATE_HZ)
SILENCE_SECONDS: Final = 1.0
"""Silence put after the last frame, and where frames stay away so long, so that speech cut off there ends like any other."""
SILENCE_LOOKS: Final = 10
"""So many looks, one after another, find no frame in that time. A loop that stood still looks once, however long it stood, and
the frames that came meanwhile take a few more turns of it to get here: the SDK's queue, its task, its ring, ours."""
MAX_LAG_SECONDS: Final = 60.0
"""A detector that is further behind than this gets no more audio until it has caught up: 2 MB a participant."""
SPEAKING_SECONDS: Final = 0.5
"""Of voice, and a sound is somebody who speaks: the framework's own `min_interruption_duration`."""

log = structlog.get_logger()


class Segmenter:
    """Cuts what is pushed into `utterances`."""

    def __init__(self, activity: vad.VADStream, on_voice: OnVoice, *, clock: Clock) -> None:
        self.utterances = UtteranceQueue()
        self._activity = activity
        self._on_voice = on_voice
        self._clock = clock
        self._position = AudioClock(SAMPLE_RATE_HZ)
        self._pushed = 0
        self._examined = 0
        self._overrun: Utterance | None = None
        self._voiced_seconds = 0.0
        self._next_look: asyncio.TimerHandle | None = None

    async def push(self, frames: AsyncGenerator[rtc.AudioFrame, None]) -> None:
        """Give the frames to the detector until they end."""
        try:
            async with aclosing(frames):
                async for frame in frames:
                    self._examine(frame)
                    self._look_for_silence()
        finally:
            self._look_no_more()
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
                        self._voice_begins(event)
                        speaking = self._open(event.samples_index - int(event.speech_duration * SAMPLE_RATE_HZ))
                        speaking.extend(event.frames, event.samples_index)
                    case vad.VADEventType.INFERENCE_DONE if speaking is not None:
                        self._voice_goes_on(event)
                        speaking.extend(event.frames, event.samples_index)
                        if len(speaking.audio) // 2 >= MAX_UTTERANCE_SAMPLES:
                            self._end(speaking)
                            speaking = self._open(event.samples_index)
                    case vad.VADEventType.END_OF_SPEECH if speaking is not None:
                        silence = int(event.silence_duration * SAMPLE_RATE_HZ)
                        speaking.last_sample = max(speaking.first_sample, event.samples_index - silence)
                        self._end(speaking)
                        speaking = None
                        self._on_voice("paused")
        finally:
            if speaking is not None:
                self._end(speaking)
            self.utterances.close()

    def _voice_begins(self, event: vad.VADEvent) -> None:
        self._voiced_seconds = event.speech_duration
        self._on_voice("noticed")

    def _voice_goes_on(self, event: vad.VADEvent) -> None:
        """Silence within doesn't count: the detector takes 0.4 s of it to call a cough over."""
        if event.raw_accumulated_silence > 0 or self._voiced_seconds >= SPEAKING_SECONDS:
            return
        self._voiced_seconds += sum(frame.duration for frame in event.frames)
        if self._voiced_seconds >= SPEAKING_SECONDS:
            self._on_voice("speaking")

    def _open(self, first_sample: int) -> Utterance:
        return self.utterances.open(first_sample, started_ms=self._position.unix_ms(first_sample))

    def _end(self, utterance: Utterance) -> None:
        utterance.end(now=self._clock.monotonic())

    def _examine(self, frame: rtc.AudioFrame) -> None:
        arrived_ms = self._clock.unix_ms()
        if self._pushed - self._examined > MAX_LAG_SECONDS * SAMPLE_RATE_HZ:
            self._overrun = self._overrun or self.utterances.open(self._pushed, started_ms=arrived_ms, deaf=True)
            so_far = (arrived_ms - self._overrun.started_ms) * SAMPLE_RATE_HZ // 1000
            self._overrun.extend((), self._overrun.first_sample + so_far)
            return
        self._finish_overrun()
        self._pushed += frame.samples_per_channel
        self._position.pushed(frame.samples_per_channel, arrived_ms)
        self._activity.push_frame(frame)

    def _look_for_silence(self, looks: int = SILENCE_LOOKS) -> None:
        """Look so often whether a frame has come: the next one begins this anew."""
        self._look_no_more()
        if looks > 0:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(SILENCE_SECONDS / SILENCE_LOOKS, self._look_for_silence, looks - 1)
        else:
            self._examine_silence()

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()

    def _examine_silence(self) -> None:
        """No frame has come for so long: an unpublished microphone. What was said before is over."""
        if not self._activity._event_ch.closed:  # noqa: SLF001 - there is no public way to ask
            self._examine(_silence())

    def _finish_overrun(self) -> None:
        if self._overrun is not None:
            log.error("detector_too_slow")
            self._end(self._overrun)
            self._overrun = None


def _silence() -> rtc.AudioFrame:
    return rtc.AudioFrame.create(SAMPLE_RATE_HZ, 1, int(SILENCE_SECONDS * SAMPLE_RATE_HZ))
