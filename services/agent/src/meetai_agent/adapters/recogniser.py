"""One provider's recogniser: an utterance in, words out, or an error.

Owns a single attempt, in the meeting's language or without where the provider refuses that, and how long to leave the provider
alone after it has failed. The framework's own retries are off: they forget the audio that the failed stream had taken
(stt/stt.py at 1.8.9), while here the next attempt starts where finals ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

import structlog
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError, stt
from livekit.agents.types import NOT_GIVEN

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.adapters.utterances import SAMPLE_BYTES, Utterance
from meetai_agent.domain.errors import RecogniserFailedError
from meetai_agent.domain.heard import FinalWords, Heard
from meetai_agent.ports import Clock, Meter
from meetai_servicekit.backoff import Backoff

CONNECT: Final = APIConnectOptions(max_retry=0, timeout=5.0)
ANSWER_SECONDS: Final = 10.0
"""After the last audio, beside the length of what was sent again. Providers take a second or two."""
REST: Final = Backoff(first_seconds=0.5, limit_seconds=30.0)
BYTES_A_SECOND: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES
BAD_REQUEST: Final = frozenset({400, 422})
"""How a provider refuses what it is asked: OpenAI and Deepgram with 400, servers of OpenAI's API that are made with FastAPI with 422."""

log = structlog.get_logger()


class Recogniser:
    """What a setting `provider/model` names, shared by all ears of a job.

    Args:
        name: As in the setting.
        make: Makes the framework's recogniser when it is first used, within the job's event loop.
        answer_seconds: How long an answer may take; None for one that needs no network and ends by itself.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], stt.STT[Any]],
        *,
        clock: Clock,
        random: Callable[[], float],
        answer_seconds: float | None = ANSWER_SECONDS,
        rest: Backoff = REST,
    ) -> None:
        self.name = name
        self._make = make
        self._engine: stt.STT[Any] | None = None
        self._clock = clock
        self._random = random
        self._answer_seconds = answer_seconds
        self._rest = rest
        self._failures = 0
        self._resting_until = 0.0
        self._refused_language: str | None = None

    @property
    def resting_seconds(self) -> float:
        """How long to leave it alone yet; 0 or less when it may be asked."""
        return self._resting_until - self._clock.monotonic()

    async def aclose(self) -> None:
        """Close its connections."""
        if self._engine is not None:
            await self._engine.aclose()

    async def hear(self, utterance: Utterance, language: str | None, meter: Meter) -> AsyncGenerator[Heard, None]:
        """What no final has come for yet, in words.

        Raises:
            RecogniserFailedError: it broke off; what it had said before stays said.
        """
        try:
            async with aclosing(self._with_or_without(utterance, language)) as hearing:
                async for heard in hearing:
                    yield heard
        except Exception as error:  # whatever a provider's client raises: the utterance isn't lost by it
            self._failed(error)
            meter.recogniser_failed(self.name)
            raise RecogniserFailedError(self.name) from error
        self._failures = 0
        self._resting_until = 0.0

    def _failed(self, error: Exception) -> None:
        """Rest. Ears that fail at the same time count as one failure; what will fail again rests longest at once."""
        hopeless = isinstance(error, APIStatusError) and not error.retryable
        if self.resting_seconds <= 0:
            self._failures += 1
            wait = self._rest.wait_seconds(self._failures, self._random)
            self._resting_until = self._clock.monotonic() + (self._rest.limit_seconds if hopeless else wait)
        status = error.status_code if isinstance(error, APIStatusError) else None
        log.error(
            "recogniser_failed",
            recogniser=self.name,
            error=type(error).__name__,
            status=status,
            failures=self._failures,
        )

    async def _with_or_without(self, utterance: Utterance, language: str | None) -> AsyncGenerator[Heard, None]:
        """In the language; at once without it when the request is refused. Any tag may be asked for, and no provider knows all.

        Only words, or silence, without the language prove that the refusal was for it.
        """
        engine = self._engine = self._engine or self._make()
        attempt = self._streamed if engine.capabilities.streaming else self._whole
        asked = None if language == self._refused_language else language
        while True:
            try:
                async with aclosing(attempt(engine, utterance, asked)) as hearing:
                    async for heard in hearing:
                        yield heard
                break
            except Exception as error:
                if asked is None or not _is_refusal(error):
                    raise
                asked = None
        if language not in {asked, self._refused_language}:
            self._refused_language = language
            log.warning("language_refused", recogniser=self.name, language=language)

    async def _whole(
        self, engine: stt.STT[Any], utterance: Utterance, language: str | None
    ) -> AsyncGenerator[FinalWords, None]:
        await utterance.finish()
        async with asyncio.timeout(self._answer_seconds):
            # Not NOT_GIVEN: the OpenAI plugin (1.8.9) would ask in the language of the request before.
            event = await engine.recognize(utterance.rest(), language=language or "", conn_options=CONNECT)
        best = event.alternatives[0] if event.alternatives else None
        if best is not None and best.text.strip():
            spoken, confidence = _spoken(best) or language, _confidence(best)
            yield utterance.take_final(best.text, utterance.unheard_from, utterance.ends_at, spoken, confidence)

    async def _streamed(
        self, engine: stt.STT[Any], utterance: Utterance, language: str | None
    ) -> AsyncGenerator[Heard, None]:
        begin = utterance.heard_bytes
        stream = engine.stream(language=language or NOT_GIVEN, conn_options=CONNECT)
        feeding = asyncio.create_task(_feed(stream, utterance, begin), name="recogniser-feed")
        try:
            while (event := await self._next_event(stream, feeding)) is not None:
                best = event.alternatives[0] if event.alternatives else None
                if best is None or not best.text.strip():
                    continue
                first, last = _within(utterance, begin, best)
                spoken = _spoken(best) or language
                if event.type is stt.SpeechEventType.INTERIM_TRANSCRIPT:
                    yield utterance.take_interim(best.text, first, last, spoken)
                elif event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                    yield utterance.take_final(best.text, first, last, spoken, _confidence(best))
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await stream.aclose()
        if utterance.interim is not None:
            raise EOFError("words without their final")

    async def _next_event(self, stream: stt.RecognizeStream, feeding: asyncio.Task[float]) -> stt.SpeechEvent | None:
        """The next one, or None at the end of the stream.

        Raises:
            TimeoutError: all audio has been fed, and there was no answer in time.
        """
        coming = asyncio.ensure_future(_anext(stream))
        try:
            await asyncio.wait((coming, feeding), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                limit = self._answer_seconds
                left = None if limit is None else feeding.result() + limit - asyncio.get_running_loop().time()
                await asyncio.wait((coming,), timeout=left)
            if not coming.done():
                raise TimeoutError("no answer")
            return coming.result()
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def _is_refusal(error: Exception) -> bool:
    """Whether the request itself is bad, for a provider or, by `ValueError`, a local recogniser. An outage is none."""
    return isinstance(error, ValueError) or (isinstance(error, APIStatusError) and error.status_code in BAD_REQUEST)


async def _anext(stream: stt.RecognizeStream) -> stt.SpeechEvent | None:
    return await anext(stream, None)


async def _feed(stream: stt.RecognizeStream, utterance: Utterance, begin: int) -> float:
    """Give the stream the utterance as it grows. A stream that has closed takes no more: whoever reads it learns why.

    Returns:
        When all was given, by the loop's clock, and as long as the audio lasts that had waited and was given at once.
    """
    fed, at_once = begin, 0
    with suppress(RuntimeError):
        while await utterance.grow(fed):
            audio = bytes(utterance.audio[fed:])
            fed += len(audio)
            at_once = at_once or len(audio)
            stream.push_frame(rtc.AudioFrame(audio, SAMPLE_RATE_HZ, 1, len(audio) // SAMPLE_BYTES))
        stream.end_input()
    return asyncio.get_running_loop().time() + at_once / BYTES_A_SECOND


def _spoken(words: stt.SpeechData) -> str | None:
    """The language as a tag. Deepgram's `multi`, where it can't tell which of several, is none."""
    return None if words.language in {"", "multi"} else str(words.language)


def _confidence(words: stt.SpeechData) -> float | None:
    return min(1.0, words.confidence) if words.confidence > 0 else None


def _within(utterance: Utterance, begin: int, words: stt.SpeechData) -> tuple[int, int]:
    """Where in the utterance's audio the words are. A stream counts seconds from its own first sample, at `begin`."""
    if words.end_time <= 0:
        return utterance.unheard_from, max(utterance.unheard_from, utterance.ends_at)
    first, last = (begin + int(at * SAMPLE_RATE_HZ) * SAMPLE_BYTES for at in (words.start_time, words.end_time))
    last = max(utterance.heard_bytes, min(last, len(utterance.audio)))
    return max(utterance.heard_bytes, min(first, last)), last
