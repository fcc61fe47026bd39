"""A meeting in which the agent is asked things, aloud and in the chat, and talked over."""

from __future__ import annotations

import asyncio

import msgspec
import pytest_asyncio
from livekit import api
from msgspec import Struct
from tests.e2e.conftest import outcome_of
from tests.e2e.listener import Listener, recording
from tests.waiting import until

from meetai_contracts.api import AgentRequest, StoredLine, TokenRequest
from meetai_contracts.room import MeetingData, RoomMetadata, write_room_metadata
from meetai_contracts.transcript import LiveTranscript
from meetai_local.demo.engine import Engine
from meetai_local.demo.measure import live_differences, word_error_rate
from meetai_local.demo.outcome import Outcome
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.stack import Stack

MINUTES = AgentRequest(name="Minutes", instructions="Keep the minutes.", language="en")
SECONDS = 30


class Talk(Struct):
    """What was left of the meeting, and what a listener had of it.

    Attributes:
        heard: The first answer, as it was recognised at the listener's ear. Its words are the same at any hour: Whisper
            tiny.en reads "It is 17:56 …" back and not "It is 18:00 …".
    """

    outcome: Outcome
    maya: SimulatedParticipant
    heard: str
    chat: list[str]

    @property
    def lines(self) -> tuple[StoredLine, ...]:
        return self.outcome.lines

    @property
    def by_agent(self) -> list[StoredLine]:
        return [line for line in self.lines if line.speaker.kind == "agent"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def talk(stack: Stack) -> Talk:
    """Maya and Robert talk of minutes, ask Minutes what was said, and talk over a long answer to a question in the chat."""

    def person(name: str) -> SimulatedParticipant:
        request = TokenRequest(user_id=name.lower(), user_name=name, agent=MINUTES)
        return SimulatedParticipant(engine, "conversation", request)

    async with Engine(stack.env) as engine:
        async with person("Maya") as maya, Listener(maya) as ears, person("Robert") as robert:

            def captions(kind: str, *, final: bool = True) -> list[LiveTranscript]:
                captions = [each.caption for each in maya.captions]
                return [each for each in captions if each.final is final and each.speaker.kind == kind]

            await maya.wait_until_heard()
            await robert.wait_until_heard()
            await robert.say(recording("mention"))
            await until(lambda: len(captions("human")) == 1, SECONDS)
            await maya.say(recording("question"))
            await until(lambda: len(captions("agent")) == 1, SECONDS)
            heard = await asyncio.to_thread(ears.recognised)
            first = captions("agent")[0].segment
            await ears.write("What can you do?")
            await until(
                lambda: any(
                    each.segment != first and len(each.text.split()) > 8 for each in captions("agent", final=False)
                ),
                SECONDS,
            )
            await robert.say(recording("interruption"))
            await until(lambda: len(captions("agent")) == 2, SECONDS)
            await until(lambda: len(captions("human")) == 3, SECONDS)
            await rename_agent(stack, "Scribe")
            agents = [who for who in maya.room.remote_participants.values() if who.identity.startswith("agent-")]
            await until(lambda: [agent.name for agent in agents] == ["Scribe"], SECONDS)
            await ears.write("Hello.")
            await until(lambda: len(captions("agent")) == 3, SECONDS)
        return Talk(await outcome_of(stack, engine, "conversation"), maya, heard, ears.chat)


async def rename_agent(stack: Stack, name: str) -> None:
    """As an application does, while the meeting goes on."""
    env = stack.env
    metadata = RoomMetadata(1, MeetingData("conversation", "Launch"), msgspec.structs.replace(MINUTES, name=name))
    async with api.LiveKitAPI(env["LIVEKIT_URL"], env["LIVEKIT_API_KEY"], env["LIVEKIT_API_SECRET"]) as livekit:
        change = api.UpdateRoomMetadataRequest(room="conversation", metadata=write_room_metadata(metadata))
        await livekit.room.update_room_metadata(change)


async def test_a_listener_hears_the_answer_when_somebody_asks_aloud(talk: Talk) -> None:
    """What arrives at another person's ear, recognised again, is what the agent said: Robert's words, which had no answer."""
    mention, question, answer = talk.lines[:3]
    assert [line.speaker.identity for line in (mention, question)] == ["robert", "maya"]
    assert answer.speaker.kind == "agent"
    assert answer.speaker.name == "Minutes"
    assert answer.text == f"Robert said: {mention.text}"
    assert not answer.interrupted
    assert word_error_rate(answer.text, talk.heard) < 0.4, talk.heard


async def test_the_answer_has_the_times_of_its_sound_when_it_was_played(talk: Talk) -> None:
    """After the question had ended, and for as long as saying it takes."""
    _, question, answer = talk.lines[:3]
    assert answer.started_ms > question.ended_ms
    assert 1_000 < answer.ended_ms - answer.started_ms < 20_000


async def test_an_answer_is_cut_where_a_person_talks_over_it(talk: Talk) -> None:
    """It stops, and its line holds what had been said: a beginning of what the chat has in full."""
    answer = talk.by_agent[1]
    written = talk.chat[0]
    assert answer.interrupted
    assert written.startswith(answer.text)
    assert len(answer.text) < len(written)
    assert written.startswith("I am Minutes. I answer by fixed rules, not by a language model.")


async def test_the_agent_has_another_name_when_the_metadata_was_changed(talk: Talk) -> None:
    """In the room and in the transcript, from then on; an answer to the chat is written and said."""
    assert [line.speaker.name for line in talk.by_agent] == ["Minutes", "Minutes", "Scribe"]
    assert (talk.by_agent[2].text, talk.chat[1]) == ("Hello, Maya.", "Hello, Maya.")
    assert len(talk.chat) == 2


async def test_the_agents_own_voice_is_a_line_and_no_microphone(talk: Talk) -> None:
    """It is stored as the others are, once each, and nobody's line has its words."""
    assert [line.speaker.kind for line in talk.lines] == ["human", "human", "agent", "agent", "human", "agent"]
    assert live_differences(talk.maya.captions, talk.lines) == ()
    assert talk.outcome.integrity is not None
    assert talk.outcome.integrity.verdict == "complete"
    interims = {each.caption.segment for each in talk.maya.captions if not each.caption.final}
    finals = {each.caption.segment for each in talk.maya.captions if each.caption.speaker.kind == "agent"}
    assert interims <= finals, "an interim joins its final"
