"""The framework's session in a real room: what is asked of a model, what is heard, what becomes a line, and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from livekit import api, rtc
from livekit.agents import APIConnectOptions, llm
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.servers.openai_talk import KEY, OpenAIServer
from tests.unit.agent.fakes import VirtualClock
from tests.unit.agent.samples import new_producer
from tests.waiting import until

from meetai_agent.adapters import agent_session, meeting_agent
from meetai_agent.adapters.agent_session import SessionTalker
from meetai_agent.adapters.providers.responders import load_responder
from meetai_agent.adapters.providers.voices import load_voice
from meetai_agent.domain.briefing import Question, Recollection
from meetai_agent.domain.errors import AnswerFailedError
from meetai_agent.domain.heard import InterimWords, Spoken
from meetai_agent.domain.providers import ProviderAccess
from meetai_agent.usecases.floor import Floor
from meetai_contracts.room import AgentData, MeetingData, RoomMetadata
from meetai_contracts.transcript import Speaker, TranscriptLine
from meetai_servicekit.secret import Secret

LAUNCH = RoomMetadata(1, MeetingData("m", "Launch"), AgentData(name="Minutes", instructions="Be kind.", voice="nova"))
ALOUD = Question("maya", "Maya", "Minutes, what time is it?", "voice")
WRITTEN = Question("maya", "Maya", "what time is it?", "chat")
LONG = "One two three four five six seven. " * 12


class Bench:
    """An agent's session in a room with Maya, who hears it or doesn't."""

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self.chat: list[str] = []
        self.words: list[InterimWords] = []
        self.spoken: list[Spoken] = []
        self.called: list[str] = []
        self.recollection = Recollection(LAUNCH)
        self.floor = Floor()
        self.room = rtc.Room()
        self.maya = rtc.Room()
        self.talker: SessionTalker

    def write(self, text: str) -> None:
        self.chat.append(text)

    def new_talker(self, *, voice: str) -> SessionTalker:
        access = ProviderAccess(openai_api_key=Secret(KEY), openai_base_url=self.server.base_url)
        new_responder = load_responder("openai/some-model", access)
        assert new_responder is not None

        def briefing() -> Any:
            return self.recollection.briefing(["Maya"], now_ms=0)

        @llm.function_tool
        async def propose(title: str) -> str:
            """Propose something."""
            self.called.append(title)
            return "approved"

        return SessionTalker(
            self.room,
            responder=new_responder(briefing),
            voice=load_voice(voice, access)(self.recollection.agent),
            tools=[propose],
            on_exit=lambda: None,
            chat=self,
            briefing=briefing,
            floor=self.floor.free,
            on_words=self.words.append,
            on_spoken=self.spoken.append,
            clock=VirtualClock(),
        )

    async def ask(self, question: Question) -> None:
        self.recollection.question = question
        async with asyncio.timeout(60):
            await self.talker.answer(question)


@pytest.fixture
async def bench(livekit: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(
        agent_session, "CONNECT", APIConnectOptions(max_retry=1, retry_interval=0.01, timeout=5.0), raising=True
    )
    monkeypatch.setattr(agent_session, "SUBSCRIBE_SECONDS", 10.0)
    async with AsyncExitStack() as stack:
        bench = Bench(await stack.enter_async_context(OpenAIServer()))
        for identity, room in (("maya", bench.maya), ("agent-1", bench.room)):
            grants = api.VideoGrants(room_join=True, room="standup", agent=identity == "agent-1")
            token = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_grants(grants)
            if identity == "agent-1":
                token = token.with_kind("agent")
            await room.connect(livekit.url, token.to_jwt())
            stack.push_async_callback(room.disconnect)
        bench.talker = bench.new_talker(voice="local/espeak-ng")
        await bench.talker.start()
        stack.push_async_callback(bench.talker.aclose)
        yield bench


async def test_a_model_is_told_the_meeting_and_what_it_says_is_a_line(bench: Bench) -> None:
    """With the times of its sound; a spoken question's answer isn't written."""
    bench.recollection.remember(TranscriptLine(new_producer().id, 1, Speaker("ben", "Ben", "human"), "Ship it.", 1, 2))
    await bench.ask(ALOUD)
    [spoken] = bench.spoken
    assert (spoken.text, spoken.interrupted) == ("It is ten past twelve.", False)
    assert 500 < spoken.ended_ms - spoken.started_ms < 10_000
    assert bench.words[-1].text == spoken.text
    assert {each.segment for each in bench.words} == {spoken.segment}
    assert bench.chat == []
    asked = "\n".join(str(message["content"]) for message in bench.server.asked[0]["messages"])
    for told in ("Launch", "Be kind.", "Ship it.", '"said by":"Ben"', "Minutes, what time is it?"):
        assert told in asked


async def test_an_answer_to_the_chat_is_written_in_full_when_it_is_talked_over(bench: Bench) -> None:
    """What is a line ends where the sound did."""
    bench.server.says = LONG.strip()
    asking = asyncio.create_task(bench.ask(WRITTEN))
    await until(lambda: bench.words and len(bench.words[-1].text.split()) > 6)
    assert bench.talker.talking_since_ms
    bench.talker.hush()
    await asking
    assert bench.talker.talking_since_ms is None
    [spoken] = bench.spoken
    assert spoken.interrupted
    assert LONG.startswith(spoken.text.strip())
    assert len(spoken.text) < len(LONG) / 2
    assert bench.chat == [LONG.strip()]
    bench.server.says = "All right."
    await bench.ask(ALOUD)
    assert bench.spoken[-1].text == "All right."


async def test_a_tool_is_called_and_its_result_is_told_to_the_model(bench: Bench) -> None:
    """Within the same answer."""
    bench.server.tool = ("propose", {"title": "Planning"})
    bench.server.faults.append("tool")
    await bench.ask(ALOUD)
    assert bench.called == ["Planning"]
    assert [message["role"] for message in bench.server.asked[1]["messages"]][-2:] == ["assistant", "tool"]
    assert [spoken.text for spoken in bench.spoken] == ["It is ten past twelve."]


@pytest.mark.parametrize("fault", ["500", "hang", "garbage", "empty"])
async def test_there_is_no_answer_when_the_model_goes_on_failing_and_the_next_goes_well(
    bench: Bench, fault: Any
) -> None:
    """However often it failed: the session lives, and can still say that it is sorry."""
    bench.server.always = fault
    for _ in range(4 if fault == "500" else 1):
        with pytest.raises(AnswerFailedError):
            await bench.ask(ALOUD)
    await bench.talker.say("Sorry.")
    bench.server.always = "none"
    await bench.ask(ALOUD)
    assert [spoken.text for spoken in bench.spoken] == ["Sorry.", "It is ten past twelve."]


async def test_what_was_said_stands_when_the_model_breaks_off(bench: Bench) -> None:
    """And whoever asked learns that there would have been more."""
    bench.server.says = LONG[:60]
    bench.server.always = "cut midway"
    with pytest.raises(AnswerFailedError):
        await bench.ask(ALOUD)
    assert LONG.startswith("".join(spoken.text for spoken in bench.spoken))


async def test_the_answer_is_text_alone_when_nobody_hears_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A room without a subscriber would otherwise keep it waiting for ever. Nothing was said, so there is no line."""
    monkeypatch.setattr(agent_session, "SUBSCRIBE_SECONDS", 0.1)
    subscribed = bench.talker._session.room_io.subscribed_fut
    assert subscribed is not None
    await subscribed
    monkeypatch.setattr(bench.talker._session.room_io._audio_output, "_subscribed_fut", asyncio.Future())
    await bench.ask(WRITTEN)
    assert bench.chat == ["It is ten past twelve."]
    assert bench.spoken == []
    with pytest.raises(AnswerFailedError):
        await bench.talker.say("Sorry.")


async def test_the_voice_waits_when_somebody_speaks(bench: Bench) -> None:
    """The answer is ready meanwhile."""
    bench.floor.voice_changed("maya", "noticed")
    asking = asyncio.create_task(bench.ask(ALOUD))
    await until(lambda: len(bench.server.asked) == 1)
    assert bench.spoken == []
    assert bench.talker.talking_since_ms is None
    bench.floor.voice_changed("maya", "paused")
    await asking
    assert len(bench.spoken) == 1


async def test_another_voice_speaks_when_it_was_changed(bench: Bench) -> None:
    """From the next answer on; one that fails is no answer."""
    access = ProviderAccess(openai_api_key=Secret(KEY), openai_base_url=bench.server.base_url)
    bench.talker.change_voice(load_voice("openai/v", access)(bench.recollection.agent))
    await bench.ask(ALOUD)
    assert [body["voice"] for body in bench.server.spoken] == ["nova"]
    assert len(bench.spoken) == 1
    bench.server.speech_always = "500"
    with pytest.raises(AnswerFailedError):
        await bench.ask(ALOUD)
    assert len(bench.spoken) == 1


async def test_memory_stays_bounded_when_many_questions_were_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework keeps everything for as long as a session lasts."""
    monkeypatch.setattr(meeting_agent, "MAX_HISTORY_ITEMS", 4)
    bench.server.says = "No."
    for _ in range(4):
        await bench.ask(ALOUD)
    assert len(bench.talker._session.history.items) == 4
    assert len(bench.talker._agent.chat_ctx.items) == 4 + 1, "the framework's own, empty instructions"
    assert len(bench.server.asked[-1]["messages"]) == 4 + 2, "the instructions and what was said lately beside them"
    assert len(bench.talker._session._recorded_events) < 10


async def test_an_answer_is_heard_when_the_sfu_was_restarted(bench: Bench, livekit: EmbeddedServer) -> None:
    """Room and track come back by themselves, and so does what is heard of it."""
    heard = bytearray()
    tasks: list[asyncio.Task[None]] = []

    async def keep(track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=16_000, num_channels=1):
            heard.extend(event.frame.data.cast("b"))

    bench.maya.on("track_subscribed", lambda track, *_: tasks.append(asyncio.create_task(keep(track))))
    await bench.ask(ALOUD)
    subscriptions = len(tasks)
    await asyncio.to_thread(livekit.stop)
    await asyncio.to_thread(livekit.start)
    await until(lambda: len(tasks) > subscriptions and bench.room.isconnected())
    heard.clear()
    await bench.ask(ALOUD)
    await until(lambda: any(heard))
    assert [spoken.text for spoken in bench.spoken] == ["It is ten past twelve."] * 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
