"""An ear: voice activity cuts a microphone into utterances, and recognisers put them into words.

Owns which recogniser is asked, again or next, until an utterance is in words or too old. Whether a recogniser takes an
utterance whole or as it grows is its own affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import structlog
from livekit import rtc
from livekit.agents import vad

from meetai_agent.adapters.recogniser import Recogniser
from meetai_agent.adapters.segmenter import Segmenter
from meetai_agent.adapters.utterances import Utterance
from meetai_agent.domain.errors import RecogniserFailedError
from meetai_agent.domain.heard import FinalWords, Heard, Unrecognised
from meetai_agent.ports import Clock, Meter, OnVoice

MAX_AGE_SECONDS: Final = 120.0
"""Speech that no recogniser has taken for so long is given up. It bounds what waits: 4 MB a participant."""
UNHEARD_MS: Final = 1_000
"""Of an utterance whose last words were interim, a rest longer than this is named as well."""

log = structlog.get_logger()


class SegmentedEar:
    """`ports.Ear` by a voice activity detector and recognisers, the first of them preferred.

    Args:
        language: Asked at each utterance: the application may change it in the middle of a meeting.
    """

    def __init__(
        self,
        recognisers: Sequence[Recogniser],
        detector: vad.VAD,
        *,
        language: Callable[[], str | None],
        clock: Clock,
        meter: Meter,
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self._recognisers = recognisers
        self._detector = detector
        self._language = language
        self._clock = clock
        self._meter = meter
        self._max_age_seconds = max_age_seconds

    async def listen(
        self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
    ) -> AsyncGenerator[Heard, None]:
        """What is said in the frames; a sentence's final arrives once the pause after it has been recognised."""
        activity = self._detector.stream()
        segmenter = Segmenter(activity, on_voice, clock=self._clock)
        tasks = [
            asyncio.create_task(segmenter.push(frames), name="ear-push"),
            asyncio.create_task(segmenter.cut(), name="ear-cut"),
        ]
        try:
            while (utterance := await segmenter.utterances.get()) is not None:
                async with aclosing(self._hear(utterance)) as hearing:
                    async for heard in hearing:
                        yield heard
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await activity.aclose()

    async def _hear(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        if utterance.deaf:
            log.error("recogniser_too_slow")
        while not utterance.deaf and (recogniser := await self._choose(utterance)) is not None:
            try:
                async with aclosing(recogniser.hear(utterance, self._language(), self._meter)) as hearing:
                    async for heard in hearing:
                        yield heard
            except RecogniserFailedError:
                if not utterance.is_heard:
                    continue
            if (kept := _kept(utterance)) is not None:
                yield kept
            return
        await utterance.finish()
        if (kept := _kept(utterance)) is not None:
            yield kept
        if utterance.unheard_ms > UNHEARD_MS or not utterance.heard_bytes:
            yield Unrecognised(utterance.ms_at(utterance.unheard_from), utterance.ended_ms)

    async def _choose(self, utterance: Utterance) -> Recogniser | None:
        """The first that isn't resting; when all are, after the shortest rest. None: the utterance is too old by then.

        The first attempt is made whatever the age: a recogniser of whole utterances may be slow while many speak.
        """
        while True:
            resting = [(recogniser.resting_seconds, recogniser) for recogniser in self._recognisers]
            for seconds, recogniser in resting:
                if seconds <= 0:
                    return recogniser
            wait = min(seconds for seconds, _ in resting)
            if utterance.spoken_at is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await utterance.finish()
            elif self._clock.monotonic() - utterance.spoken_at + wait > self._max_age_seconds:
                return None
            else:
                await asyncio.sleep(wait)


def _kept(utterance: Utterance) -> FinalWords | None:
    kept = utterance.keep_interim()
    if kept is not None:
        log.warning("interim_kept_as_final")
    return kept
