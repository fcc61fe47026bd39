"""Approvals on the running services: asked for in the chat, decided over RPC by one person, told to Inngest's stand-in."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest_asyncio
import vobject
from livekit import rtc
from msgspec import Struct
from tests.integration.agent.approvers import Approver
from tests.waiting import eventually, until

from meetai_contracts.api import AgentRequest, TokenRequest
from meetai_local.demo.engine import Engine
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.inngest_events import received_events
from meetai_local.stack import Stack

MEETING = "approvals"
MINUTES = AgentRequest(name="Minutes", instructions="Keep the minutes.", language="en")
LATER = {"start": "2099-01-01T10:00:00+00:00", "end": "2099-01-01T11:00:00+00:00"}
SECONDS = 90


class Held(Struct):
    """What was left of the meeting.

    Attributes:
        popups: What Ben's screen showed, by the event's title.
        events: What Inngest received, by the event's title.
        chat: What the agent wrote.
    """

    popups: dict[str, list[dict[str, Any]]]
    events: dict[str, list[dict[str, Any]]]
    chat: list[str]


def answer(popup: dict[str, Any]) -> dict[str, Any]:
    """What Ben thinks of it."""
    match popup["event"]["title"]:
        case "Retro":
            return {"decision": "rejected", "comment": "Not on Mondays."}
        case "Review" if popup["event"]["start"] != LATER["start"]:
            return {"decision": "modified", "event": popup["event"] | LATER}
        case _:
            return {"decision": "approved"}


def serves(stack: Stack, room_sid: str) -> bool:
    """Whether the agent of this room has begun, the chat included: what was written there before is lost."""
    return any("session_started" in line and room_sid in line for line in stack.log("agent").splitlines())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def held(stack: Stack) -> Held:
    """Maya proposes, Ben decides: yes, no, otherwise, one thing that was proposed twice, one after a reload, one not at all."""
    popups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    chat: list[str] = []
    reading: set[asyncio.Task[None]] = set()

    async def read(reader: rtc.TextStreamReader) -> None:
        chat.append(await reader.read_all())

    def on_chat(reader: rtc.TextStreamReader, _identity: str) -> None:
        reading.add(asyncio.create_task(read(reader)))

    def person(name: str) -> SimulatedParticipant:
        return SimulatedParticipant(engine, MEETING, TokenRequest(user_id=name.lower(), user_name=name, agent=MINUTES))

    def screen(ben: SimulatedParticipant, *, ready: bool) -> Approver:
        shown = Approver(ben.room, answer)
        shown.keep = lambda popup: popups[popup["event"]["title"]].append(popup)
        if not ready:
            shown.may_answer.clear()
        shown.register()
        return shown

    async with Engine(stack.env) as engine, person("Maya") as maya:
        maya.room.register_text_stream_handler("lk.chat", on_chat)

        async def propose(title: str) -> None:
            text = f"Propose a meeting called {title} tomorrow at ten, and ask Ben to approve it."
            await maya.room.local_participant.send_text(text, topic="lk.chat")

        async with person("Ben") as ben:
            shown = screen(ben, ready=True)
            await maya.wait_until_heard()
            await ben.wait_until_heard()
            sid = await maya.room.sid
            await until(lambda: serves(stack, sid), SECONDS)
            for title in ("planning", "retro", "review"):
                await propose(title)
            await until(lambda: len(popups["Review"]) == 2, SECONDS)
            shown.may_answer.clear()
            await propose("lunch")
            await propose("lunch")
            asked = "Ben has been asked"
            await until(lambda: sum(line.startswith(asked) for line in chat) >= 5, SECONDS)
            shown.may_answer.set()
            await until(lambda: any(line.startswith("Ben rejected it") for line in chat), SECONDS)
            shown.may_answer.clear()
            await propose("demo")
            await until(lambda: len(popups["Demo"]) == 1, SECONDS)
        async with person("Ben") as ben:
            shown = screen(ben, ready=True)
            await until(lambda: len(popups["Demo"]) == 2, SECONDS)
            shown.may_answer.clear()
            await propose("offsite")
            await until(lambda: len(popups["Offsite"]) == 1, SECONDS)

        async def events() -> dict[str, list[dict[str, Any]]]:
            found = defaultdict(list)
            for outcome in ("approved", "rejected", "expired"):
                name = f"meetai/calendar_event.{outcome}"
                for event in await received_events(name, base_url=stack.env["INNGEST_BASE_URL"]):
                    if event["data"]["meetingId"] == MEETING:
                        found[event["data"]["event"]["title"]].append(event)
            return found

        async def all_told() -> bool:
            return len(await events()) == 6

        await eventually(all_told, seconds=SECONDS)
        return Held(popups, await events(), chat)


async def test_one_event_is_told_of_each_proposal(held: Held) -> None:
    """To Inngest, by the bridge: what came of it, and who said so."""
    outcomes = {title: [event["name"].rpartition(".")[2] for event in told] for title, told in held.events.items()}
    assert outcomes == {
        "Planning": ["approved"],
        "Retro": ["rejected"],
        "Review": ["approved"],
        "Lunch": ["approved"],
        "Demo": ["approved"],
        "Offsite": ["expired"],
    }
    assert {event["data"]["decidedBy"] for told in held.events.values() for event in told} == {"ben"}
    assert held.events["Retro"][0]["data"]["comment"] == "Not on Mondays."


async def test_popups_are_shown_as_often_as_they_must_be(held: Held) -> None:
    """Once; again when the time was changed, under another id; again after a reload, under the same; once for a double proposal."""
    assert {title: len(shown) for title, shown in held.popups.items()} == {
        "Planning": 1,
        "Retro": 1,
        "Review": 2,
        "Lunch": 1,
        "Demo": 2,
        "Offsite": 1,
    }
    assert len({popup["proposalId"] for popup in held.popups["Review"]}) == 2
    assert held.popups["Demo"][0] == held.popups["Demo"][1]


async def test_what_was_approved_comes_with_a_file_for_any_calendar(held: Held) -> None:
    """With the times that were seen last."""
    data = held.events["Review"][0]["data"]
    assert (data["modified"], data["event"]["start"]) == (True, "2099-01-01T10:00:00Z")
    [calendar] = list(vobject.readComponents(data["ics"], validate=True))
    assert calendar.vevent.summary.value == "Review"
    assert calendar.vevent.uid.value == data["proposalId"] == held.popups["Review"][1]["proposalId"]
    assert calendar.vevent.dtstart.value.isoformat() == "2099-01-01T10:00:00+00:00"


async def test_the_conversation_hears_what_came_of_it(held: Held) -> None:
    """The agent said at once that it had asked, and later what the answer was."""
    assert any(line.startswith("Ben approved it") for line in held.chat)
    assert any("Not on Mondays." in line for line in held.chat)
