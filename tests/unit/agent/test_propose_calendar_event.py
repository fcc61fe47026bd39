"""The tool as a model calls it, in a real `AgentSession`: what the model is told, and that nothing follows but the event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.run_result import RunResult
from tests.unit.agent.approval_fakes import ApprovalBench, Shown
from tests.unit.agent.scripted_llm import Call, ScriptedLLM
from tests.waiting import until

from meetai_agent.tools.ports import ToolPorts
from meetai_agent.tools.propose_calendar_event import NAME
from meetai_agent.tools.registry import function_tools

ARGUMENTS: dict[str, Any] = {
    "approver": "Ada",
    "title": "Retro",
    "start": "2026-11-09T10:00",
    "end": "2026-11-09T10:30",
    "time_zone": "Europe/Berlin",
    "attendees": ["ann@example.com", "bo"],
}


class Talk:
    """A conversation with a scripted model, in a room with Ada and Bo."""

    def __init__(self) -> None:
        self.bench = ApprovalBench("ada", "bo")
        self.model = ScriptedLLM()
        ports = ToolPorts(self.bench.approvals, self.bench.participants, self.bench.clock)
        self.agent = Agent(instructions="", tools=list(function_tools(ports)))
        self.session: AgentSession[Any] = AgentSession(llm=self.model)

    async def ask(self, *calls: Call) -> list[str]:
        """Somebody speaks, the model calls these. Returns what it was told at once."""
        self.model.script = [list(calls)]
        before = len(self.model.seen)
        self.session.generate_reply(user_input="Please plan a retro.")
        await until(lambda: len(self.model.seen) >= before + 2)
        return self.model.outputs()[-len(calls) :]

    async def told(self, word: str) -> str:
        """What the model was told, once it holds this word."""
        await until(lambda: any(word in output for output in self.model.outputs()))
        return next(output for output in self.model.outputs() if word in output)

    async def popup(self, identity: str = "ada") -> Shown:
        await until(lambda: bool(self.bench.popups.shown[identity]))
        return self.bench.popups.shown[identity][-1]


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = Talk()
    await talk.session.start(talk.agent)
    yield talk
    talk.bench.approvals.let_go()
    await talk.session.aclose()
    await talk.bench.close()


async def test_the_conversation_goes_on_when_a_person_is_thinking(talk: Talk) -> None:
    """The model hears at once that somebody was asked, answers other things meanwhile, and hears the end when it is there."""
    assert await talk.ask(Call(NAME, **ARGUMENTS)) == ["Ada has been asked on their screen and has not answered yet."]
    shown = await talk.popup()
    assert shown.request["event"] == {
        "title": "Retro",
        "start": "2026-11-09T10:00:00+01:00",
        "end": "2026-11-09T10:30:00+01:00",
        "timeZone": "Europe/Berlin",
        "attendees": ["ann@example.com", "bo"],
    }
    talk.model.script = ["It is noon."]
    other: RunResult[Any] = talk.session.run(user_input="What time is it?")
    await other
    other.expect.contains_message(role="assistant")
    assert not talk.bench.events.appended
    shown.answer("approved", comment="with cake")
    assert await talk.told("approved") == ("Ada approved it; it is being carried out. They remarked: with cake")
    await until(lambda: len(talk.bench.events.appended) == 1)
    event = json.loads(talk.bench.events.appended[0])
    assert event["name"] == "meetai/calendar_event.approved"
    assert event["data"]["decidedBy"] == "ada"
    assert f"UID:{shown.id}" in event["data"]["ics"]


async def test_the_model_hears_why_when_it_was_rejected(talk: Talk) -> None:
    """And that nothing will be done; the event says so too, without a calendar file."""
    await talk.ask(Call(NAME, **ARGUMENTS))
    (await talk.popup()).answer("rejected", comment="Not on Mondays.")
    assert await talk.told("rejected") == "Ada rejected it; nothing will be done. They remarked: Not on Mondays."
    await until(lambda: len(talk.bench.events.appended) == 1)
    event = json.loads(talk.bench.events.appended[0])
    assert (event["name"], event["data"].get("ics")) == ("meetai/calendar_event.rejected", None)


async def test_the_model_hears_what_was_changed_when_it_was(talk: Talk) -> None:
    """Another title needs no second look; other times do."""
    await talk.ask(Call(NAME, **ARGUMENTS))
    shown = await talk.popup()
    shown.answer("modified", event=shown.request["event"] | {"title": "Retro and cake"})
    assert '"title":"Retro and cake"' in await talk.told("changed it to")


async def test_one_popup_is_shown_when_the_model_calls_twice_at_once(talk: Talk) -> None:
    """And both calls get the one answer."""
    await talk.ask(Call(NAME, **ARGUMENTS), Call(NAME, **(ARGUMENTS | {"approver": "ada", "title": "retro "})))
    (await talk.popup()).answer("approved")
    await until(lambda: sum("approved it" in output for output in talk.model.outputs()) == 2)
    assert len(talk.bench.popups.shown["ada"]) == 1
    await until(lambda: len(talk.bench.events.appended) == 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"approver": "Cleo"}, "Ask who should approve"),
        ({"time_zone": "Berlin"}, "time_zone must be an IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone must be an IANA time zone"),
        ({"start": "ten o'clock"}, "start must be ISO 8601"),
        ({"start": "2023-11-14T10:00", "end": "2023-11-14T11:00"}, "it is now 2023-11-14T23:13+01:00"),
        ({"end": "2026-11-09T09:00"}, "end must be after start"),
        ({"start": "2999-01-01T10:00", "end": "2999-01-01T11:00"}, "start must be in the years"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title must not be blank"),
        ({"title": "x" * 300}, "title"),
        ({"attendees": ["x" * 300]}, "attendees"),
        ({"description": "\N{GRINNING FACE}" * 3_900}, "nobody was asked"),
    ],
)
async def test_the_model_is_told_what_to_do_better_when_nobody_can_be_asked(
    talk: Talk, changes: dict[str, Any], words: str
) -> None:
    """In one sentence that names the field; nobody sees a popup."""
    [told] = await talk.ask(Call(NAME, **(ARGUMENTS | changes)))
    assert words in told
    assert not talk.bench.popups.shown


async def test_the_session_ends_when_a_popup_is_still_open(talk: Talk) -> None:
    """Nobody waits for it then; a yes that still comes is told all the same."""
    await talk.ask(Call(NAME, **ARGUMENTS))
    shown = await talk.popup()
    talk.bench.approvals.let_go()
    async with asyncio.timeout(10):
        await talk.session.aclose()
    shown.answer("approved")
    await until(lambda: len(talk.bench.events.appended) == 1)
