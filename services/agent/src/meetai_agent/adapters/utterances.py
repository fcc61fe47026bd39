"""Utterances on their way from the voice activity detector to a recogniser: bounded, and never waited for.

An utterance is handed over when it begins and grows while it is spoken, so that a recogniser of streams hears it at once. It
remembers how far it has been recognised, so that another attempt, or another recogniser, starts where the last one ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from livekit import rtc

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.domain.heard import FinalWords, InterimWords

MAX_WAITING: Final = 32
"""At most 32 x 25 s of 16-bit audio, 26 MB, wait for one participant's recogniser."""
SAMPLE_BYTES: Final = 2
SHORTEST_WORD_MS: Final = 200
"""A rest as short as this holds no word: detectors and recognisers differ by so much on where speech ends."""
BYTES_A_MS: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000


class Utterance:
    """Speech between two pauses: its audio, where in the stream and when it was.

    Attributes:
        first_sample, last_sample: Positions in the participant's audio.
        started_ms: Unix milliseconds of the first sample.
        audio: 16-bit PCM, from a little before the first sample on; empty when `deaf`.
        deaf: There was no room for its audio, so it can't be recognised.
        heard_bytes: Finals have come for so much of the audio.
        interim: Words beyond that which no final has confirmed yet.
        spoken_at: Monotonic seconds at its end; None while it is spoken.
    """

    def __init__(self, first_sample: int, *, started_ms: int, deaf: bool = False) -> None:
        self.first_sample = first_sample
        self.last_sample = first_sample
        self.started_ms = started_ms
        self.audio = bytearray()
        self.deaf = deaf
        self.heard_bytes = 0
        self.interim: InterimWords | None = None
        self.spoken_at: float | None = None
        self._lead_bytes = 0
        self._interim_to = 0
        self._segment = uuid4().hex
        self._grown = asyncio.Event()

    @property
    def ended_ms(self) -> int:
        """Unix milliseconds of its last sample so far."""
        return self.started_ms + (self.last_sample - self.first_sample) * SAMPLE_BYTES // BYTES_A_MS

    @property
    def unheard_from(self) -> int:
        """The offset in the audio of the first speech that no final has come for."""
        return max(self.heard_bytes, self._lead_bytes)

    @property
    def ends_at(self) -> int:
        """The offset in the audio of its last sample so far."""
        return self._lead_bytes + (self.last_sample - self.first_sample) * SAMPLE_BYTES

    @property
    def unheard_ms(self) -> int:
        """How much of it no final has come for."""
        return self.ended_ms - self.ms_at(self.unheard_from)

    @property
    def is_heard(self) -> bool:
        """It has been spoken, and finals have come for all of it."""
        return self.spoken_at is not None and self.interim is None and self.unheard_ms <= SHORTEST_WORD_MS

    def ms_at(self, offset: int) -> int:
        """Unix milliseconds of an offset in the audio."""
        return self.started_ms + (offset - self._lead_bytes) // BYTES_A_MS

    def extend(self, frames: Sequence[rtc.AudioFrame], last_sample: int) -> None:
        """Take what follows. The detector's first frames begin before it was sure: that much is ahead of the first sample."""
        if not self.deaf:
            begins = not self.audio
            for frame in frames:
                self.audio.extend(frame.data.cast("b"))
            if begins:
                self._lead_bytes = max(0, len(self.audio) - (last_sample - self.first_sample) * SAMPLE_BYTES)
        self.last_sample = last_sample
        self._grown.set()

    def end(self, *, now: float) -> None:
        """It has been spoken. A deaf one may go on with the next."""
        self.spoken_at = now
        self._grown.set()

    async def grow(self, beyond: int) -> bool:
        """Wait until there is audio beyond an offset. False: it has ended, and there is none."""
        while len(self.audio) <= beyond and self.spoken_at is None:
            self._grown.clear()
            await self._grown.wait()
        return len(self.audio) > beyond

    async def finish(self) -> None:
        """Wait until it has been spoken."""
        while self.spoken_at is None:
            self._grown.clear()
            await self._grown.wait()

    def take_interim(self, text: str, first: int, last: int, language: str | None) -> InterimWords:
        """Note words that may still change, from one offset in the audio to another."""
        self.interim = InterimWords(self._segment, text, self.ms_at(first), language, self.ms_at(last))
        self._interim_to = last
        return self.interim

    def take_final(
        self, text: str, first: int, last: int, language: str | None, confidence: float | None
    ) -> FinalWords:
        """Note words that won't change; what is said next is another segment."""
        final = FinalWords(self._segment, text, self.ms_at(first), self.ms_at(last), language, confidence)
        self.interim = None
        self.heard_bytes = max(self.heard_bytes, last)
        self._segment = uuid4().hex
        return final

    def keep_interim(self) -> FinalWords | None:
        """Interim words that no final has confirmed, as final: better than none. None: there are no such words."""
        if self.interim is None:
            return None
        text, language = self.interim.text, self.interim.language
        return self.take_final(text, self.unheard_from, max(self.unheard_from, self._interim_to), language, None)

    def rest(self) -> rtc.AudioFrame:
        """What no final has come for, as one frame."""
        audio = bytes(self.audio[self.heard_bytes :])
        return rtc.AudioFrame(audio, SAMPLE_RATE_HZ, 1, len(audio) // SAMPLE_BYTES)


class UtteranceQueue:
    """First in, first out. When too many wait the next keep their times and lose their audio, joined into one."""

    def __init__(self) -> None:
        self._waiting: deque[Utterance] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    def open(self, first_sample: int, *, started_ms: int, deaf: bool = False) -> Utterance:
        """An utterance that begins; never waits. When too many wait this is the deaf one that waits last."""
        last = self._waiting[-1] if self._waiting else None
        deaf = deaf or len(self._waiting) >= MAX_WAITING
        if deaf and last is not None and last.deaf:
            last.spoken_at = None
            return last
        utterance = Utterance(first_sample, started_ms=started_ms, deaf=deaf)
        self._waiting.append(utterance)
        self._changed.set()
        return utterance

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
