"""Recognisers across a network: the real plugins against servers that speak the providers' wire formats, and break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import get_args

import pytest
from livekit.agents import APIConnectOptions
from tests.integration.agent.hearing import Audio, all_heard, ear_of, finals, unnoticed
from tests.servers import deepgram_listen, openai_transcriptions
from tests.servers.deepgram_listen import DeepgramServer
from tests.servers.openai_transcriptions import TranscriptionsServer
from tests.servers.spoken_reference import SpokenReference
from tests.unit.agent.fakes import RecordingMeter
from tests.waiting import until

from meetai_agent.adapters import recogniser
from meetai_agent.adapters.providers.recognisers import load_recogniser
from meetai_agent.adapters.recogniser import Recogniser
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.heard import FinalWords, Heard, InterimWords, Unrecognised
from meetai_agent.domain.providers import ProviderAccess
from meetai_local.demo.measure import word_error_rate
from meetai_local.speech import load_recording, load_script
from meetai_servicekit.backoff import Backoff
from meetai_servicekit.secret import Secret

LINES = load_script().lines[:3]
REFERENCE = SpokenReference([(load_recording(line.wav).pcm, line.text) for line in LINES])
TOLERANCE_MS = 400
SOON = Backoff(first_seconds=0.1, limit_seconds=0.3)
LONG = Backoff(first_seconds=30.0, limit_seconds=30.0)
ANSWER_SECONDS = 10.0


@pytest.fixture
async def deepgram() -> AsyncIterator[DeepgramServer]:
    async with DeepgramServer(REFERENCE.words_in) as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[TranscriptionsServer]:
    async with TranscriptionsServer(REFERENCE.words_in) as server:
        yield server


class Recognisers:
    """As `load_recogniser` makes them, resting and waiting less than in production."""

    def __init__(self, setting: str, access: ProviderAccess, answer_seconds: float) -> None:
        self.all = load_recogniser(setting, access, clock=SystemClock())._recognisers
        for each in self.all:
            each._rest = SOON
            each._answer_seconds = answer_seconds if each._answer_seconds else None

    async def __aenter__(self) -> list[Recogniser]:
        return self.all

    async def __aexit__(self, *_: object) -> None:
        for each in self.all:
            await each.aclose()


def patience_with(fault: str) -> float:
    """Little with who hangs; who is slow on a busy machine isn't away."""
    return 1.5 if "hang" in fault else ANSWER_SECONDS


def by_deepgram(
    server: DeepgramServer, *, key: str = deepgram_listen.KEY, answer_seconds: float = ANSWER_SECONDS
) -> Recognisers:
    access = ProviderAccess(deepgram_api_key=Secret(key), deepgram_base_url=server.base_url)
    return Recognisers("deepgram/nova-3", access, answer_seconds)


def by_openai(server: TranscriptionsServer, *, answer_seconds: float = ANSWER_SECONDS) -> Recognisers:
    access = ProviderAccess(openai_api_key=Secret(openai_transcriptions.KEY), openai_base_url=server.base_url)
    return Recognisers("openai/whisper-large", access, answer_seconds)


def assert_exact(heard: list[FinalWords], audio: Audio) -> None:
    """Each word once, in order, near where it was said."""
    assert " ".join(each.text for each in heard) == REFERENCE.text
    assert [each.started_ms for each in heard] == sorted(each.started_ms for each in heard)
    for begin, end in REFERENCE.spans:
        starts = [each.started_ms - audio.started_ms for each in heard]
        ends = [each.ended_ms - audio.started_ms for each in heard]
        assert min(abs(start - begin * 1000) for start in starts) <= TOLERANCE_MS, (begin, starts)
        assert min(abs(each - end * 1000) for each in ends) <= TOLERANCE_MS, (end, ends)


async def test_words_come_with_interims_and_true_times_when_the_recogniser_streams(deepgram: DeepgramServer) -> None:
    """Interims share their final's segment; no stream is open while nobody speaks, and every one is closed in good order."""
    audio, over, heard = Audio(REFERENCE.pcm), asyncio.Event(), list[Heard]()
    async with by_deepgram(deepgram) as recognisers:
        ear = ear_of(audio, recognisers, language=lambda: None)

        async def listen() -> None:
            async for each in ear.listen(audio.frames(over), unnoticed):
                heard.append(each)

        listening = asyncio.create_task(listen())
        await until(lambda: finals(heard) and finals(heard)[-1].text.endswith(REFERENCE.words[-1].text))
        await until(lambda: deepgram.open == 0)
        over.set()
        async with asyncio.timeout(30):
            await listening
    assert_exact(finals(heard), audio)
    segments = [each.segment for each in finals(heard)]
    assert len(set(segments)) == len(segments)
    interims = [each for each in heard if isinstance(each, InterimWords)]
    assert interims
    assert {each.segment for each in interims} <= set(segments)
    query = deepgram.listened[0].query
    assert (query["model"], query["language"], query["sample_rate"], query["interim_results"]) == (
        *("nova-3", "multi"),
        *("16000", "true"),
    )
    assert sum(len(each.audio) for each in deepgram.listened) < len(REFERENCE.pcm), "silence isn't sent"
    assert all(each.kinds[-1] == "CloseStream" for each in deepgram.listened)
    assert {each.confidence for each in finals(heard)} == {0.98}


@pytest.mark.parametrize("fault", [fault for fault in get_args(deepgram_listen.Fault) if fault != "401"])
async def test_no_word_is_lost_or_doubled_when_a_stream_breaks(
    deepgram: DeepgramServer, fault: deepgram_listen.Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in a row, then once more later: the audio that no final had come for goes to the next stream."""
    monkeypatch.setattr(recogniser, "CONNECT", APIConnectOptions(max_retry=0, timeout=2.0))
    faults: list[deepgram_listen.Fault] = [fault, fault, "none", fault]
    deepgram.faults.extend(faults if fault != "hang" else [fault])
    audio, meter = Audio(REFERENCE.pcm), RecordingMeter()
    async with by_deepgram(deepgram, answer_seconds=patience_with(fault)) as recognisers:
        heard = await all_heard(ear_of(audio, recognisers, meter=meter), audio)
    assert_exact(finals(heard), audio)
    assert not any(isinstance(each, Unrecognised) for each in heard)
    failures = meter.counts["recogniser_failed:deepgram/nova-3"]
    assert failures == 0 if fault in {"none", "slow", "garbage"} else failures >= (1 if fault == "hang" else 3)


@pytest.mark.parametrize("fault", get_args(openai_transcriptions.Fault))
async def test_no_word_is_lost_or_doubled_when_a_request_fails(
    openai: TranscriptionsServer, fault: openai_transcriptions.Fault
) -> None:
    """A recogniser of whole utterances is asked again."""
    openai.faults.extend([fault, "none", fault])
    audio = Audio(REFERENCE.pcm)
    async with by_openai(openai, answer_seconds=patience_with(fault)) as recognisers:
        heard = await all_heard(ear_of(audio, recognisers, language=lambda: "de-CH"), audio)
    assert_exact(finals(heard), audio)
    assert {each.language for each in finals(heard)} == {"de-CH"}
    assert {(form["model"], form["language"]) for form in openai.forms} == {("whisper-large", "de")}


async def test_words_are_heard_without_the_language_when_a_stream_in_it_is_refused(deepgram: DeepgramServer) -> None:
    """Any tag may be in the metadata: it is refused once, and nobody waits for it; the lines don't say that they are in it."""
    deepgram.refused_languages = {"nb-NO"}
    audio, meter = Audio(REFERENCE.pcm), RecordingMeter()
    async with by_deepgram(deepgram) as recognisers:
        recognisers[0]._rest = LONG
        heard = await all_heard(ear_of(audio, recognisers, language=lambda: "nb-NO", meter=meter), audio)
    assert_exact(finals(heard), audio)
    assert {each.language for each in finals(heard)} == {None}
    assert len(deepgram.listened) > 1
    assert {each.query["language"] for each in deepgram.listened} == {"multi"}
    assert deepgram.attempts == len(deepgram.listened) + 1
    assert not meter.counts["recogniser_failed:deepgram/nova-3"]


async def test_words_are_heard_without_the_language_when_a_request_in_it_is_refused(
    openai: TranscriptionsServer,
) -> None:
    """The plugin remembers the language of the request before, and is made to forget it."""
    openai.refused_languages = {"nb"}
    audio, meter = Audio(REFERENCE.pcm), RecordingMeter()
    async with by_openai(openai) as recognisers:
        recognisers[0]._rest = LONG
        heard = await all_heard(ear_of(audio, recognisers, language=lambda: "nb-NO", meter=meter), audio)
    assert_exact(finals(heard), audio)
    assert {each.language for each in finals(heard)} == {None}
    first, *others = [form.get("language") for form in openai.forms]
    assert first == "nb"
    assert len(others) > 1
    assert set(others) == {None}
    assert not meter.counts["recogniser_failed:openai/whisper-large"]


@pytest.mark.parametrize("fault", ["401", "500", "cut after an interim"])
async def test_the_next_recogniser_takes_over_when_one_fails_for_good(
    deepgram: DeepgramServer, openai: TranscriptionsServer, fault: deepgram_listen.Fault
) -> None:
    """From the word where the first left off; which is asked again later."""
    deepgram.always = fault
    audio, meter = Audio(REFERENCE.pcm), RecordingMeter()
    async with by_deepgram(deepgram) as first, by_openai(openai) as second:
        heard = await all_heard(ear_of(audio, [*first, *second], meter=meter), audio)
        assert_exact(finals(heard), audio)
        deepgram.always = "none"
        await until(lambda: first[0].resting_seconds <= 0)
        requests, audio = len(openai.forms), Audio(REFERENCE.pcm)
        assert_exact(finals(await all_heard(ear_of(audio, [*first, *second]), audio)), audio)
    assert len(openai.forms) == requests
    assert meter.counts["recogniser_failed:deepgram/nova-3"] >= 1
    assert not meter.counts["recogniser_failed:openai/whisper-large"]


async def test_a_refused_key_is_left_alone_for_long_when_it_is_refused(deepgram: DeepgramServer) -> None:
    """What will fail again isn't hammered at; the speech is named once it is too old."""
    audio = Audio(REFERENCE.pcm)
    async with by_deepgram(deepgram, key="wrong") as recognisers:
        recognisers[0]._rest = Backoff(first_seconds=0.01, limit_seconds=30.0)
        heard = await all_heard(ear_of(audio, recognisers, max_age_seconds=0.5), audio)
    assert deepgram.attempts == 1
    assert all(isinstance(each, Unrecognised) for each in heard)
    starts = [each.started_ms - audio.started_ms for each in heard]
    for begin, _ in REFERENCE.spans:
        assert min(abs(start - begin * 1000) for start in starts) <= TOLERANCE_MS


async def test_interim_words_are_kept_when_no_recogniser_comes_back(deepgram: DeepgramServer) -> None:
    """They are the final then; what was said after them is named."""
    deepgram.faults.append("cut after an interim")
    deepgram.always = "500"
    audio = Audio(REFERENCE.pcm, pace=4.0)
    async with by_deepgram(deepgram) as recognisers:
        heard = await all_heard(ear_of(audio, recognisers, max_age_seconds=0.5), audio)
    kept, *lost = [each for each in heard if not isinstance(each, InterimWords)]
    interim = next(each for each in heard if isinstance(each, InterimWords))
    assert isinstance(kept, FinalWords)
    assert (kept.segment, kept.text) == (interim.segment, interim.text)
    assert REFERENCE.text.startswith(kept.text)
    assert lost
    assert all(isinstance(each, Unrecognised) for each in lost)


async def test_everything_is_heard_late_when_the_provider_was_away_for_long(deepgram: DeepgramServer) -> None:
    """Audio waits, within its bound, for the provider to come back."""
    deepgram.always = "500"
    audio = Audio(REFERENCE.pcm)
    async with by_deepgram(deepgram) as recognisers:
        listening = asyncio.create_task(all_heard(ear_of(audio, recognisers), audio))
        await until(lambda: deepgram.attempts >= 5)
        deepgram.always = "none"
        assert_exact(finals(await listening), audio)


async def test_two_are_told_apart_when_they_speak_through_the_same_recogniser(deepgram: DeepgramServer) -> None:
    """Each utterance has a stream of its own; the ears share what is known of the provider's health."""
    deepgram.faults.extend(["500", "cut after an interim", "none", "cut before the last words"])
    audios = [Audio(REFERENCE.pcm) for _ in range(2)]
    async with by_deepgram(deepgram) as recognisers:
        both = await asyncio.gather(*(all_heard(ear_of(audio, recognisers), audio) for audio in audios))
    for heard, audio in zip(both, audios, strict=True):
        assert_exact(finals(heard), audio)


async def test_nothing_is_left_running_when_a_listener_stops_in_the_middle(deepgram: DeepgramServer) -> None:
    """Cancelled while a stream is open: it is closed, and every task has ended."""
    before = asyncio.all_tasks()
    audio = Audio(REFERENCE.pcm, pace=2.0)
    async with by_deepgram(deepgram) as recognisers:
        async with aclosing(ear_of(audio, recognisers).listen(audio.frames(asyncio.Event()), unnoticed)) as hearing:
            async with asyncio.timeout(20):
                await anext(hearing)
        await until(lambda: deepgram.open == 0)
    assert audio.closed
    await until(lambda: not {task for task in asyncio.all_tasks() - before if "recogniser" in task.get_name()})


def test_the_reference_knows_its_words_wherever_the_audio_begins() -> None:
    """The stand-in for a recogniser is itself right: from any place on, whole words and no others."""
    chance = random.Random(3)
    for _ in range(20):
        at = chance.randrange(0, len(REFERENCE.pcm) // 2) * 2
        found = [word.text for word in REFERENCE.words_in(REFERENCE.pcm[at:])]
        assert REFERENCE.text.split()[len(REFERENCE.words) - len(found) :] == found
    assert word_error_rate(REFERENCE.text, " ".join(line.text for line in LINES)) == 0
