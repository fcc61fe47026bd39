"""Approvals over LiveKit's RPC in a real room, told to a real Redis."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest
from tests.integration.agent.approval_room import OTHER, RETRO, SECONDS, Room, livekit, room, unopened
from tests.integration.agent.approvers import Answer, approve
from tests.servers.embedded import EmbeddedServer
from tests.waiting import until

from meetai_agent.domain import proposal

__all__ = ["livekit", "room", "unopened"]


async def test_only_the_one_person_is_asked_and_their_yes_is_told(room: Room) -> None:
    """Identical proposals at once share the popup; what is told is on the stream, once, with the calendar file."""
    ada, bo = await room.with_person("ada"), await room.with_person("bo", answering=approve)
    both = asyncio.gather(room.propose(), room.propose())
    await until(lambda: bool(ada.popups), SECONDS)
    third = room.propose()
    ada.answer(approve)
    ends = [*await both, await third]
    assert {end.outcome for end in ends} == {"approved"}
    assert (len(ada.popups), bo.popups) == (1, [])
    [popup] = ada.popups
    assert popup["kind"] == "calendar_event"
    [event] = await room.told()
    assert event.name == "meetai/calendar_event.approved"
    assert event.id == f"meetai-calendar_event.approved-{popup['proposalId']}"
    assert (event.data["decidedBy"], event.data["event"]["title"]) == ("ada", "Retro")
    assert f"UID:{popup['proposalId']}" in event.data["ics"]


async def test_two_people_are_asked_two_things_at_once(room: Room) -> None:
    """One says no, with a reason; the other changes the time, sees it again and says yes."""
    ada = await room.with_person("ada", answering=lambda _: {"decision": "rejected", "comment": "Not on Mondays."})
    later = {"start": "2026-11-09T11:00:00+01:00", "end": "2026-11-09T11:30:00+01:00"}

    def shift(popup: dict[str, Any]) -> dict[str, Any]:
        if popup["event"]["start"] == later["start"]:
            return {"decision": "approved"}
        return {"decision": "modified", "event": popup["event"] | later}

    bo = await room.with_person("bo", answering=shift)
    rejected, modified = await asyncio.gather(room.propose("ada"), room.propose("bo", OTHER))
    assert (rejected.outcome, rejected.comment) == ("rejected", "Not on Mondays.")
    assert (modified.outcome, modified.modified) == ("approved", True)
    assert (len(ada.popups), [popup["event"]["title"] for popup in bo.popups]) == (1, ["Lunch", "Lunch"])
    told = {event.name: event for event in await room.told()}
    assert told["meetai/calendar_event.rejected"].data["comment"] == "Not on Mondays."
    assert told["meetai/calendar_event.approved"].data["event"]["start"] == later["start"]
    assert told["meetai/calendar_event.approved"].data["proposalId"] == bo.popups[1]["proposalId"]


@pytest.mark.parametrize("leaves_first", [True, False])
async def test_the_popup_is_sent_again_when_the_person_reloads(room: Room, leaves_first: bool) -> None:
    """Also when the new page comes while the old one is still connected, which the SDK would notice only at the timeout."""
    first = await room.with_person()
    waiting = room.propose()
    await until(lambda: bool(first.popups), SECONDS)
    if leaves_first:
        await first.leave()
    second = await room.with_person(answering=approve)
    async with asyncio.timeout(SECONDS):
        assert (await waiting).outcome == "approved"
    assert second.popups == first.popups
    assert len(await room.told()) == 1


async def test_it_expires_when_the_person_leaves_for_good(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a grace."""
    monkeypatch.setattr(proposal, "GRACE_SECONDS", 0.5)
    ada = await room.with_person()
    waiting = room.propose()
    await until(lambda: bool(ada.popups), SECONDS)
    await ada.leave()
    async with asyncio.timeout(SECONDS):
        end = await waiting
    assert (end.outcome, end.reason) == ("expired", "approver_left")


async def test_it_expires_when_the_person_answers_too_late(unopened: Room) -> None:
    """Their yes is not acted upon; one event says that it expired."""
    unopened.popup_seconds = 15.0
    await unopened.open()
    ada = await unopened.with_person()
    waiting = unopened.propose()
    async with asyncio.timeout(SECONDS):
        end = await waiting
    ada.answer(approve)
    await until(lambda: ada.over == 1, SECONDS)
    assert (end.outcome, end.reason) == ("expired", "time_over")
    assert len(ada.popups) == 1
    [event] = await unopened.told()
    assert event.name == "meetai/calendar_event.expired"
    assert event.occurred_at - dt.datetime.fromisoformat(ada.popups[0]["expiresAt"]) < dt.timedelta(seconds=SECONDS)


async def test_the_popup_is_sent_again_when_the_sfu_was_killed_and_restarted(
    room: Room, livekit: EmbeddedServer
) -> None:
    """Everybody is back by themselves; what was asked before is lost, and the popup is the same."""
    ada = await room.with_person()
    waiting = room.propose()
    await until(lambda: bool(ada.popups), SECONDS)
    await asyncio.to_thread(livekit.kill)
    await asyncio.to_thread(livekit.start)
    await until(lambda: len(ada.popups) >= 2, 60)
    ada.answer(approve)
    async with asyncio.timeout(SECONDS):
        assert (await waiting).outcome == "approved"
    assert all(popup == ada.popups[0] for popup in ada.popups)


def fail(_request: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("the application's own bug")


RUBBISH: list[Answer] = [
    fail,
    lambda _: "yes",
    lambda _: "x" * 16_000,
    lambda _: {"decision": "approved", "proposalId": "00000000-0000-0000-0000-000000000000"},
    lambda popup: {"decision": "modified", "event": popup["event"] | {"end": popup["event"]["start"]}},
]


async def test_the_popup_is_sent_again_when_rubbish_comes_back(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that fails, no JSON, too much, another proposal's id, an event that can't be; the answer then counts."""
    monkeypatch.setattr(proposal, "RETRY", msgspec.structs.replace(proposal.RETRY, first_seconds=0.05))
    for event, answers in ((RETRO, [*RUBBISH[:3], approve]), (OTHER, [*RUBBISH[3:], approve])):
        left = list(answers)
        ada = await room.with_person(answering=lambda popup, left=left: left.pop(0)(popup))  # type: ignore[misc]  # bound now
        async with asyncio.timeout(SECONDS):
            assert (await room.propose(event=event)).outcome == "approved"
        assert len(ada.popups) == len(answers)
        assert all(popup == ada.popups[0] for popup in ada.popups)


async def test_the_popup_is_sent_again_when_the_application_was_still_loading(room: Room) -> None:
    """At first it doesn't know the method."""
    ada = await room.with_person(answering=approve, register=False)
    waiting = room.propose()
    await until(lambda: room.popups.refused == 1, SECONDS)
    ada.register()
    async with asyncio.timeout(SECONDS):
        assert (await waiting).outcome == "approved"


async def test_it_expires_soon_when_the_application_does_not_know_approvals(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the agent can say so, rather than wait for the popup's whole time."""
    monkeypatch.setattr(proposal, "RETRY", msgspec.structs.replace(proposal.RETRY, first_seconds=0.1))
    await room.with_person(register=False)
    async with asyncio.timeout(SECONDS):
        assert (await room.propose()).reason == "unsupported"
