"""The keyless recogniser on recorded speech: the real voice activity detector, the real Whisper, faster than real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, inference, stt, utils
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from tests.unit.agent.fakes import VirtualClock

from meetai_agent.adapters.providers.recognisers import MIN_SILENCE_SECONDS, NewEar, load_recogniser
from meetai_agent.adapters.segmented_ear import SegmentedEar
from meetai_agent.domain.heard import MAX_UTTERANCE_SECONDS, FinalWords, Heard, Unrecognised
from meetai_agent.domain.providers import ProviderAccess
from meetai_agent.ports import OnVoice
from meetai_local.demo.measure import word_error_rate
from meetai_local.speech import Line, load_recording, load_script

RATE = 16_000
FRAME_SAMPLES = 800
BYTES_A_SECOND = RATE * 2
TOLERANCE_MS = 300
LINES = load_script().lines


def speech(line: Line) -> bytes:
    return load_recording(line.wav).pcm


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * RATE) * 2)


def unnoticed(speaking: bool) -> None:
    """Nobody asks who speaks."""


class Audio:
    """Frames of some audio, and the clock by which they arrive."""

    def __init__(self, pcm: bytes) -> None:
        self.clock = VirtualClock()
        self.started_ms = self.clock.unix_ms()
        self.closed = False
        self._pcm = pcm

    async def frames(self, then: asyncio.Event | None = None) -> AsyncGenerator[rtc.AudioFrame, None]:
        """All of it, then nothing until the event; 50 times faster than real time."""
        step = FRAME_SAMPLES * 2
        try:
            for at in range(0, len(self._pcm), step):
                samples = self._pcm[at : at + step]
                self.clock.now += len(samples) / BYTES_A_SECOND
                yield rtc.AudioFrame(samples, RATE, 1, len(samples) // 2)
                if at % BYTES_A_SECOND < step:
                    await asyncio.sleep(0.02)
            if then is not None:
                await then.wait()
        finally:
            self.closed = True


async def all_heard(new_ear: NewEar, pcm: bytes, on_voice: OnVoice = unnoticed) -> list[Heard]:
    audio = Audio(pcm)
    ear = new_ear("en")
    assert isinstance(ear, SegmentedEar)
    ear._clock = audio.clock
    async with asyncio.timeout(60):
        return [heard async for heard in ear.listen(audio.frames(), on_voice)]


def words(heard: list[Heard]) -> list[FinalWords]:
    return [each for each in heard if isinstance(each, FinalWords)]


@pytest.fixture(scope="module")
def new_ear() -> NewEar:
    return load_recogniser("local/whisper-tiny.en", ProviderAccess(), clock=VirtualClock())


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


async def test_words_and_times_are_right_when_one_speaks_with_pauses(new_ear: NewEar) -> None:
    """Each sentence is a line of its own, near the reference, within 300 ms of when it was said."""
    pcm, truth = silence(1), []
    for line in LINES[:4]:
        start_ms = len(pcm) * 1000 // BYTES_A_SECOND
        pcm += speech(line)
        truth.append((start_ms, len(pcm) * 1000 // BYTES_A_SECOND))
        pcm += silence(1.5)
    voices: list[bool] = []
    heard = words(await all_heard(new_ear, pcm, voices.append))
    assert voices == [True, False] * len(heard), "each utterance is noticed, and its end"
    epoch = VirtualClock().unix_ms()
    assert word_error_rate(" ".join(line.text for line in LINES[:4]), " ".join(each.text for each in heard)) < 0.1
    assert heard[0].started_ms - epoch == pytest.approx(truth[0][0], abs=TOLERANCE_MS)
    for start_ms, end_ms in truth:
        assert min(abs(each.started_ms - epoch - start_ms) for each in heard) <= TOLERANCE_MS
        assert min(abs(each.ended_ms - epoch - end_ms) for each in heard) <= TOLERANCE_MS
    assert len({each.segment for each in heard}) == len(heard)
    assert {each.language for each in heard} == {"en"}


async def test_the_last_words_are_heard_when_the_microphone_ends_in_the_middle(new_ear: NewEar) -> None:
    """Someone leaves while speaking: what was said is there."""
    [heard] = words(await all_heard(new_ear, silence(0.5) + speech(LINES[0])))
    assert word_error_rate(LINES[0].text, heard.text) < 0.2


async def test_words_are_heard_when_the_microphone_falls_silent_without_ending(new_ear: NewEar) -> None:
    """An unpublished microphone sends nothing, not even silence; the line must not wait for it to come back."""
    audio, over = Audio(silence(0.5) + speech(LINES[0])), asyncio.Event()
    async with asyncio.timeout(20), aclosing(new_ear("en").listen(audio.frames(then=over), unnoticed)) as hearing:
        heard = await anext(hearing)
        assert isinstance(heard, FinalWords)
        assert word_error_rate(LINES[0].text, heard.text) < 0.2
        over.set()
        assert [each async for each in hearing] == []


async def test_nothing_is_lost_when_someone_speaks_on_and_on(new_ear: NewEar) -> None:
    """More than a minute without a pause comes in pieces, one right after another."""
    lines: list[Line] = []
    pcm = b""
    while len(pcm) < 70 * BYTES_A_SECOND:
        lines.append(LINES[len(lines) % len(LINES)])
        pcm += speech(lines[-1])
    heard = await all_heard(new_ear, pcm)
    pieces = words(heard)
    assert len(pieces) == len(heard)
    assert max(each.ended_ms - each.started_ms for each in pieces) <= MAX_UTTERANCE_SECONDS * 1000 + 1000
    assert sum(each.ended_ms - each.started_ms for each in pieces) > 65_000
    assert word_error_rate(" ".join(line.text for line in lines), " ".join(each.text for each in pieces)) < 0.2


async def test_each_hears_their_own_when_two_speak_at_once(new_ear: NewEar) -> None:
    """Ears share a model and a detector, and nothing else."""
    both = await asyncio.gather(*(all_heard(new_ear, speech(line) + silence(1)) for line in LINES[1:3]))
    for line, heard in zip(LINES[1:3], both, strict=True):
        assert word_error_rate(line.text, " ".join(each.text for each in words(heard))) < 0.2


async def test_unrecognised_speech_is_named_when_the_recogniser_fails() -> None:
    """With its times; and the ear goes on."""
    audio = Audio(silence(1) + speech(LINES[0]) + silence(1) + speech(LINES[1]) + silence(1))
    detector = inference.VAD(min_silence_duration=MIN_SILENCE_SECONDS)
    ear = SegmentedEar(FailingSTT(), detector, language="en", clock=audio.clock)
    async with asyncio.timeout(20):
        heard = [each async for each in ear.listen(audio.frames(), unnoticed)]
    assert len(heard) >= 2
    assert all(isinstance(each, Unrecognised) for each in heard)
    assert heard[0].started_ms - audio.started_ms == pytest.approx(1000, abs=TOLERANCE_MS)


async def test_nothing_is_left_running_when_a_listener_stops_early() -> None:
    """Cancelled while the recogniser hangs and utterances wait: the microphone is closed and every task has ended."""
    before = asyncio.all_tasks()
    audio = Audio((speech(LINES[0]) + silence(1)) * 3)
    detector = inference.VAD(min_silence_duration=MIN_SILENCE_SECONDS)
    ear = SegmentedEar(FailingSTT(hang=True), detector, language="en", clock=audio.clock)

    async def listen() -> None:
        async with aclosing(ear.listen(audio.frames(then=asyncio.Event()), unnoticed)) as hearing:
            await anext(hearing)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await listen()
    assert audio.closed
    assert asyncio.all_tasks() == before
