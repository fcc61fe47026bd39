"""Responders and voices as the settings name them: the real plugins against servers that speak their wire formats, and fail."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from livekit.agents import APIConnectOptions, APIError, llm, tts, utils
from tests.servers.deepgram_speak import KEY as DEEPGRAM_KEY
from tests.servers.deepgram_speak import SpeakServer
from tests.servers.openai_talk import KEY as OPENAI_KEY
from tests.servers.openai_talk import OpenAIServer

from meetai_agent.adapters.providers import responders
from meetai_agent.adapters.providers.responders import check_responder, load_responder
from meetai_agent.adapters.providers.voices import check_voice, load_voice
from meetai_agent.domain.briefing import Briefing, Question
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess
from meetai_contracts.room import AgentData
from meetai_servicekit.secret import Secret

ONE_RETRY = APIConnectOptions(max_retry=1, retry_interval=0.01, timeout=5.0)
MINUTES = AgentData(name="Minutes", instructions="")
FAULTS = ["401", "429", "500", "hang", "cut", "garbage"]


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def deepgram() -> AsyncIterator[SpeakServer]:
    async with SpeakServer() as server, utils.http_context.open():
        yield server


def access(openai: OpenAIServer | None = None, deepgram: SpeakServer | None = None) -> ProviderAccess:
    return ProviderAccess(
        openai_api_key=Secret(OPENAI_KEY) if openai else None,
        openai_base_url=openai.base_url if openai else None,
        deepgram_api_key=Secret(DEEPGRAM_KEY) if deepgram else None,
        deepgram_base_url=deepgram.base_url if deepgram else None,
    )


def who_is_here() -> Briefing:
    question = Question("ada", "Ada", "Who is here?", "voice")
    return Briefing(meeting="m", agent=MINUTES, people=("Ada",), remarks=(), question=question, now_ms=0)


async def answer(responder: llm.LLM[Any]) -> llm.CollectedResponse:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Who is here?")
    async with asyncio.timeout(20):
        return await responder.chat(chat_ctx=context, conn_options=ONE_RETRY).collect()


async def seconds_spoken(voice: tts.TTS[Any], text: str = "Ada is here.") -> float:
    """How much sound comes of a text, in the way that the session asks for it."""
    speaker = voice if voice.capabilities.streaming else tts.StreamAdapter(tts=voice)
    seconds = 0.0
    async with asyncio.timeout(20), speaker.stream(conn_options=ONE_RETRY) as stream:
        stream.push_text(text)
        stream.end_input()
        async for audio in stream:
            seconds += audio.frame.duration
    return seconds


def responder(setting: str, server: OpenAIServer) -> llm.LLM[Any]:
    new_responder = load_responder(setting, access(server))
    assert new_responder is not None
    return new_responder(who_is_here)


async def test_a_model_answers_when_it_speaks_openais_format(openai: OpenAIServer) -> None:
    """Whoever it is: only the base URL says."""
    assert (await answer(responder("openai/some-model", openai))).text == openai.says
    assert openai.asked[0]["model"] == "some-model"
    assert openai.asked[0]["stream"] is True


async def test_a_models_tool_call_is_whole_when_it_came_in_pieces(openai: OpenAIServer) -> None:
    """As streams send them."""
    openai.faults.append("tool")
    openai.tool = ("propose_calendar_event", {"title": "Planning", "attendees": ["Ben"]})
    [call] = (await answer(responder("openai/m", openai))).tool_calls
    assert call.name == "propose_calendar_event"
    assert call.arguments == '{"title": "Planning", "attendees": ["Ben"]}'


@pytest.mark.parametrize("fault", ["429", "500", "hang", "cut", "garbage"])
async def test_a_model_is_asked_again_when_it_failed_in_a_way_that_passes(openai: OpenAIServer, fault: Any) -> None:
    """Once, as the options say."""
    openai.faults.append(fault)
    assert (await answer(responder("openai/m", openai))).text == openai.says
    assert len(openai.asked) == 2


@pytest.mark.parametrize("fault", [*FAULTS, "cut midway"])
async def test_a_model_that_goes_on_failing_is_an_error_and_no_hang(openai: OpenAIServer, fault: Any) -> None:
    """With a bounded number of requests."""
    openai.always = fault
    with pytest.raises(APIError):
        await answer(responder("openai/m", openai))
    assert len(openai.asked) <= 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_one_answers_when_the_first_fails(
    openai: OpenAIServer, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And here it says that it is no language model, since it is none."""
    monkeypatch.setattr(responders, "ATTEMPT_SECONDS", 2.0)
    openai.always = fault
    talking = responder("openai/m,local/rules", openai)
    assert (await answer(talking)).text == "Ada is here."
    openai.always = "none"
    await talking.aclose()


async def test_a_voice_speaks_when_it_speaks_openais_format(openai: OpenAIServer) -> None:
    """With the voice that the application asks for, or the provider's own; a sentence a request."""
    new_voice = load_voice("openai/some-voice", access(openai))
    assert await seconds_spoken(new_voice(MINUTES)) == pytest.approx(1.0, abs=0.05)
    await seconds_spoken(new_voice(AgentData(name="Minutes", instructions="", voice="nova")))
    assert [body["voice"] for body in openai.spoken] == ["ash", "nova"]
    assert {(body["model"], body["input"], body["response_format"]) for body in openai.spoken} == {
        ("some-voice", "Ada is here.", "wav")
    }


async def test_a_voice_speaks_when_its_server_sends_plain_audio(openai: OpenAIServer) -> None:
    """As compatible servers do, whatever they are asked for."""
    openai.ignores_stream_format = True
    assert await seconds_spoken(load_voice("openai/v", access(openai))(MINUTES)) == pytest.approx(1.0, abs=0.05)


async def test_a_voice_speaks_when_it_speaks_deepgrams_format(deepgram: SpeakServer) -> None:
    """Its voices are models; another provider's voice in the metadata is not for it."""
    new_voice = load_voice("deepgram/aura-2-andromeda-en", access(deepgram=deepgram))
    for wanted in (None, "aura-2-thalia-en", "nova"):
        voice = new_voice(AgentData(name="Minutes", instructions="", voice=wanted))
        assert await seconds_spoken(voice) == pytest.approx(1.0, abs=0.05)
        await voice.aclose()
    assert deepgram.models == ["aura-2-andromeda-en", "aura-2-thalia-en", "aura-2-andromeda-en"]
    assert deepgram.spoken == ["Ada is here."] * 3


@pytest.mark.parametrize("fault", ["429", "500", "cut", "garbage", "empty"])
async def test_openais_voice_is_asked_again_when_it_failed_in_a_way_that_passes(
    openai: OpenAIServer, fault: Any
) -> None:
    """Once, as the options say."""
    openai.speech_faults.append(fault)
    voice = load_voice("openai/v", access(openai))(MINUTES)
    assert await seconds_spoken(voice) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("fault", ["429", "500", "hang", "cut", "error"])
async def test_deepgrams_voice_is_asked_again_when_it_failed_in_a_way_that_passes(
    deepgram: SpeakServer, fault: Any
) -> None:
    """Over a new connection."""
    deepgram.faults.append(fault)
    voice = load_voice("deepgram/aura-2-andromeda-en", access(deepgram=deepgram))(MINUTES)
    assert await seconds_spoken(voice) == pytest.approx(1.0, abs=0.05)
    assert len(deepgram.models) == 2
    await voice.aclose()


@pytest.mark.parametrize("fault", ["401", "429", "500", "cut"])
async def test_voices_that_go_on_failing_are_an_error_and_no_hang(
    openai: OpenAIServer, deepgram: SpeakServer, fault: Any
) -> None:
    """With a bounded number of requests."""
    openai.speech_always = deepgram.always = fault
    for setting in ("openai/v", "deepgram/aura-2-andromeda-en"):
        voice = load_voice(setting, access(openai, deepgram))(MINUTES)
        with pytest.raises(APIError):
            await seconds_spoken(voice)
        await voice.aclose()
    assert len(openai.spoken) <= 2
    assert len(deepgram.models) <= 2


async def test_the_next_voice_speaks_when_the_first_ones_fail(openai: OpenAIServer, deepgram: SpeakServer) -> None:
    """Here the one that needs no network."""
    openai.speech_always = deepgram.always = "500"
    voice = load_voice("deepgram/aura-2-andromeda-en,openai/v,local/espeak-ng", access(openai, deepgram))(MINUTES)
    assert await seconds_spoken(voice) > 0.5
    openai.speech_always = deepgram.always = "none"
    with suppress(Exception):
        await voice.aclose()
    # The framework leaves a failed stream's task unasked, which Python reports when it collects it. Reporting parses code, and
    # must not happen while pytest itself does (python/cpython#106905).
    gc.collect()


@pytest.mark.parametrize("voice", [None, "en-gb", "de", "de-CH", "no such voice", "alloy", "\0\ud800"])
async def test_the_keyless_voice_speaks_whatever_voice_is_asked_for(voice: str | None) -> None:
    """One that it doesn't know is American English."""
    new_voice = load_voice("local/espeak-ng", ProviderAccess())
    assert await seconds_spoken(new_voice(AgentData(name="M", instructions="", voice=voice)), "One two three.") > 0.5


@pytest.mark.parametrize(
    ("check", "setting", "named"),
    [
        (check_responder, "openai/gpt", "OPENAI_API_KEY"),
        (check_responder, "local/rules,openai/gpt", "OPENAI_API_KEY"),
        (check_responder, "local/llama", "LLM"),
        (check_responder, "nobody/model", "LLM"),
        (check_voice, "openai/tts", "OPENAI_API_KEY"),
        (check_voice, "deepgram/aura", "DEEPGRAM_API_KEY"),
        (check_voice, "local/festival", "TTS"),
        (check_voice, "nobody/model", "TTS"),
    ],
)
def test_a_provider_is_refused_at_start_when_it_cannot_work(check: Any, setting: str, named: str) -> None:
    """And the setting that is missing or wrong is named."""
    with pytest.raises(UnknownProviderError, match=f"^{named}: "):
        check(setting, ProviderAccess())


def test_nothing_answers_when_the_setting_is_none() -> None:
    """The agent transcribes."""
    assert load_responder("none", ProviderAccess()) is None
