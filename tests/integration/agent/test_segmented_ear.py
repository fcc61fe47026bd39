"""The keyless recogniser on recorded speech: the real voice activity detector, the real Whisper, faster than real time."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, LanguageCode, stt, utils
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from tests.integration.agent.hearing import BYTES_A_SECOND, Audio, all_heard, ear_of, finals, silence, speech, unnoticed
from tests.unit.agent.fakes import VirtualClock

from meetai_agent.adapters.providers.recognisers import load_recogniser
from meetai_agent.adapters.recogniser import Recogniser
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.heard import MAX_UTTERANCE_SECONDS, FinalWords, Heard, Unrecognised, Voice
from meetai_agent.domain.providers import ProviderAccess
from meetai_agent.ports import OnVoice
from meetai_local.demo.measure import word_error_rate
from meetai_local.speech import Line, load_script
from meetai_servicekit.backoff import Backoff

TOLERANCE_MS = 300
LINES = load_script().lines


@pytest.fixture(scope="module")
def whisper() -> Recogniser:
    return load_recogniser("local/whisper-tiny.en", ProviderAccess(), clock=SystemClock())._recognisers[0]


async def heard_in(recogniser: Recogniser, pcm: bytes, on_voice: OnVoice = unnoticed) -> list[Heard]:
    audio = Audio(pcm)
    return await all_heard(ear_of(audio, [recogniser]), audio, on_voice)


class FailingSTT(stt.STT[str]):
    """A recogniser whose server is away, or which never answers."""

    def __init__(self, *, hang: bool = False) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._hang = hang

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        if self._hang:
            await asyncio.Event().wait()
        raise APIConnectionError("away", retryable=False)


class Recognised(stt.STT[str]):
    """A recogniser that hears the same in everything, and notes in which language it was asked to."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self.languages: list[str] = []
        self.recogniser = Recogniser("test/same", lambda: self, clock=SystemClock(), random=random.random)

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        self.languages.append(str(language))
        words = stt.SpeechData(language=LanguageCode("en"), text="Something.")
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[words])


def failing(*, hang: bool = False) -> Recogniser:
    rest = Backoff(first_seconds=0.05, limit_seconds=0.1)
    return Recogniser(
        "test/failing", lambda: FailingSTT(hang=hang), clock=SystemClock(), random=random.random, rest=rest
    )


async def test_words_and_times_are_right_when_one_speaks_with_pauses(whisper: Recogniser) -> None:
    """Each sentence is a line of its own, near the reference, within 300 ms of when it was said."""
    pcm, truth = silence(1), []
    for line in LINES[:4]:
        start_ms = len(pcm) * 1000 // BYTES_A_SECOND
        pcm += speech(line)
        truth.append((start_ms, len(pcm) * 1000 // BYTES_A_SECOND))
        pcm += silence(1.5)
    voices: list[Voice] = []
    heard = finals(await heard_in(whisper, pcm, voices.append))
    assert voices == ["noticed", "speaking", "paused"] * len(heard), "each utterance is noticed, and its end"
    epoch = VirtualClock().unix_ms()
    assert word_error_rate(" ".join(line.text for line in LINES[:4]), " ".join(each.text for each in heard)) < 0.1
    assert heard[0].started_ms - epoch == pytest.approx(truth[0][0], abs=TOLERANCE_MS)
    for start_ms, end_ms in truth:
        assert min(abs(each.started_ms - epoch - start_ms) for each in heard) <= TOLERANCE_MS
        assert min(abs(each.ended_ms - epoch - end_ms) for each in heard) <= TOLERANCE_MS
    assert len({each.segment for each in heard}) == len(heard)
    assert {each.language for each in heard} == {"en"}


async def test_the_last_words_are_heard_when_the_microphone_ends_in_the_middle(whisper: Recogniser) -> None:
    """Someone leaves while speaking: what was said is there."""
    [heard] = finals(await heard_in(whisper, silence(0.5) + speech(LINES[0])))
    assert word_error_rate(LINES[0].text, heard.text) < 0.2


async def test_a_cough_is_nobody_who_speaks_when_it_is_as_short_as_one() -> None:
    """Noticed, and over before it was long enough."""
    voices: list[Voice] = []
    start = BYTES_A_SECOND * 4 // 10
    await heard_in(
        Recognised().recogniser, silence(1) + speech(LINES[0])[start : start * 2] + silence(1), voices.append
    )
    assert voices == ["noticed", "paused"]


async def test_the_next_utterance_is_heard_in_another_language_when_that_was_changed() -> None:
    """In a live meeting, on a microphone that is open already."""
    stand_in, audio, language = Recognised(), Audio(speech(LINES[0]) + silence(1) + speech(LINES[1]) + silence(1)), "en"
    ear = ear_of(audio, [stand_in.recogniser], language=lambda: language)
    async with asyncio.timeout(30):
        async for _ in ear.listen(audio.frames(), unnoticed):
            language = "de"
    assert stand_in.languages[0] == "en"
    assert set(stand_in.languages[1:]) == {"de"}


async def test_words_are_heard_when_the_microphone_falls_silent_without_ending(whisper: Recogniser) -> None:
    """An unpublished microphone sends nothing, not even silence; the line must not wait for it to come back."""
    audio, over = Audio(silence(0.5) + speech(LINES[0])), asyncio.Event()
    async with (
        asyncio.timeout(20),
        aclosing(ear_of(audio, [whisper]).listen(audio.frames(then=over), unnoticed)) as hearing,
    ):
        heard = await anext(hearing)
        assert isinstance(heard, FinalWords)
        assert word_error_rate(LINES[0].text, heard.text) < 0.2
        over.set()
        assert [each async for each in hearing] == []


async def test_nothing_is_lost_when_someone_speaks_on_and_on(whisper: Recogniser) -> None:
    """More than a minute without a pause comes in pieces, one right after another."""
    lines: list[Line] = []
    pcm = b""
    while len(pcm) < 70 * BYTES_A_SECOND:
        lines.append(LINES[len(lines) % len(LINES)])
        pcm += speech(lines[-1])
    heard = await heard_in(whisper, pcm)
    pieces = finals(heard)
    assert len(pieces) == len(heard)
    assert max(each.ended_ms - each.started_ms for each in pieces) <= MAX_UTTERANCE_SECONDS * 1000 + 1000
    assert sum(each.ended_ms - each.started_ms for each in pieces) > 65_000
    assert word_error_rate(" ".join(line.text for line in lines), " ".join(each.text for each in pieces)) < 0.2


async def test_each_hears_their_own_when_two_speak_at_once(whisper: Recogniser) -> None:
    """Ears share a model and a detector, and nothing else."""
    both = await asyncio.gather(*(heard_in(whisper, speech(line) + silence(1)) for line in LINES[1:3]))
    for line, heard in zip(LINES[1:3], both, strict=True):
        assert word_error_rate(line.text, " ".join(each.text for each in finals(heard))) < 0.2


async def test_unrecognised_speech_is_named_when_the_recogniser_fails() -> None:
    """With its times; and the ear goes on."""
    audio = Audio(silence(1) + speech(LINES[0]) + silence(1) + speech(LINES[1]) + silence(1))
    ear = ear_of(audio, [failing()], max_age_seconds=0.2)
    async with asyncio.timeout(20):
        heard = [each async for each in ear.listen(audio.frames(), unnoticed)]
    assert len(heard) >= 2
    assert all(isinstance(each, Unrecognised) for each in heard)
    assert heard[0].started_ms - audio.started_ms == pytest.approx(1000, abs=TOLERANCE_MS)


async def test_nothing_is_left_running_when_a_listener_stops_early() -> None:
    """Cancelled while the recogniser hangs and utterances wait: the microphone is closed and every task has ended."""
    before = asyncio.all_tasks()
    audio = Audio((speech(LINES[0]) + silence(1)) * 3)
    ear = ear_of(audio, [failing(hang=True)])

    async def listen() -> None:
        async with aclosing(ear.listen(audio.frames(then=asyncio.Event()), unnoticed)) as hearing:
            await anext(hearing)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await listen()
    assert audio.closed
    assert asyncio.all_tasks() == before
