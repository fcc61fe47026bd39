"""Approvals over LiveKit's RPC in a real room, told to a real Redis."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from redis.asyncio import Redis
from tests.integration.agent.approvers import Answer, Approver, agent_room, approve, join
from tests.integration.token.livekit_server import livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.approval_fakes import RecordingDecisionMeter
from tests.unit.agent.participants_suite import Meeting, ParticipantsSuite
from tests.waiting import until
from uuid_utils.compat import uuid7

from meetai_agent.adapters.outbox_files import OutboxFiles
from meetai_agent.adapters.redis_events import RedisEventStream
from meetai_agent.adapters.room_participants import RoomParticipants
from meetai_agent.adapters.rpc_popups import RpcPopups
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain import proposal
from meetai_agent.domain.proposal import Decided
from meetai_agent.tools.calendar_proposal import CalendarProposals
from meetai_agent.usecases.approve import Approvals
from meetai_agent.usecases.asking import Surroundings
from meetai_agent.usecases.tell import Telling
from meetai_contracts.approval import CalendarEvent
from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM, DomainEvent
from meetai_local.settings import Ports, StackSettings

SECONDS = 30.0
RETRO = CalendarEvent(
    title="Retro",
    start=dt.datetime(2026, 11, 9, 10, 0, tzinfo=ZoneInfo("Europe/Berlin")),
    end=dt.datetime(2026, 11, 9, 10, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    time_zone="Europe/Berlin",
)
OTHER = msgspec.structs.replace(RETRO, title="Lunch")


class Room:
    """The agent's part of a meeting, in this process."""

    def __init__(self, url: str, redis_url: str, folder: Path) -> None:
        self.url = url
        self.name = f"standup-{uuid7()}"
        self._redis_url = redis_url
        self._folder = folder
        self._stack = AsyncExitStack()
        self.popup_seconds = 60.0

    async def open(self) -> None:
        room = await self._stack.enter_async_context(agent_room(self.url, self.name))
        events, meter = RedisEventStream(self._redis_url), RecordingDecisionMeter()
        telling = Telling(OutboxFiles(self._folder), stream=events, meter=meter, random=random.random)
        self.participants = RoomParticipants(room)
        self.approvals = Approvals(
            Surroundings(
                meeting_id=self.name,
                room_sid="RM_test",
                participants=self.participants,
                popups=RpcPopups(room),
                telling=telling,
                clock=SystemClock(),
                meter=meter,
                popup_seconds=self.popup_seconds,
                new_id=uuid7,
                random=random.random,
            )
        )
        telling.start()
        for closing in (events.aclose, telling.close, self.approvals.close):
            self._stack.push_async_callback(closing)

    async def close(self) -> None:
        await self._stack.aclose()

    async def with_person(
        self, identity: str = "ada", *, name: str = "Ada", answering: Answer | None = None, register: bool = True
    ) -> Approver:
        """Somebody who has joined and is seen; under an identity that is there already, as a reload does."""
        before = self.participants.stay_of(identity)
        approver = await join(self.url, self.name, identity, name=name, answering=answering, register=register)
        self._stack.push_async_callback(approver.leave)
        await until(lambda: self.participants.stay_of(identity) not in {None, before}, SECONDS)
        return approver

    def propose(self, identity: str = "ada", event: CalendarEvent = RETRO) -> asyncio.Future[Decided[CalendarEvent]]:
        return self.approvals.propose(CalendarProposals(), identity, event)

    async def told(self) -> list[DomainEvent]:
        """What has been told, once everything has."""
        await self.close()
        async with Redis.from_url(self._redis_url) as redis:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(EVENTS_STREAM)  # type: ignore[assignment]  # redis-py's union of protocols
        assert list(self._folder.iterdir()) == []
        return [msgspec.json.decode(fields[EVENT_FIELD.encode()], type=DomainEvent) for _, fields in entries]


@pytest.fixture(scope="module")
def livekit(stack_settings: StackSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for all of this; each test has a room of its own."""
    root = tmp_path_factory.mktemp("livekit")
    with livekit_server(msgspec.structs.replace(stack_settings, root=root, ports=Ports.free())) as server:
        yield server


@pytest.fixture
async def unopened(livekit: EmbeddedServer, redis_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    room = Room(livekit.url, redis_url, tmp_path / "spool")
    (tmp_path / "spool").mkdir()
    yield room
    await room.close()


@pytest.fixture
async def room(unopened: Room) -> Room:
    await unopened.open()
    return unopened


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
    unopened.popup_seconds = 1.0
    await unopened.open()
    ada = await unopened.with_person()
    waiting = unopened.propose()
    async with asyncio.timeout(SECONDS):
        end = await waiting
    ada.answer(approve)
    await asyncio.sleep(0.2)
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
    await until(lambda: len(ada.popups) >= 2, SECONDS)
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
    await asyncio.sleep(0.3)  # the refusal comes at once
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


class RealMeeting:
    """A meeting in a real room."""

    def __init__(self, room: Room) -> None:
        self.participants = room.participants
        self._room = room
        self._people: dict[str, Approver] = {}

    async def join(self, identity: str, name: str) -> None:
        self._people[identity] = await self._room.with_person(identity, name=name)

    async def leave(self, identity: str) -> None:
        await self._people[identity].leave()


class TestRoomParticipants(ParticipantsSuite):
    """The participants of a real room."""

    @pytest.fixture
    async def meeting(self, room: Room) -> Meeting:
        return RealMeeting(room)


async def test_other_agents_cannot_be_asked(room: Room) -> None:
    """A person's yes is a person's."""
    async with agent_room(room.url, room.name, identity="agent-2") as other:
        await until(lambda: "agent" in other.remote_participants, SECONDS)
        assert RoomParticipants(other).people() == []
        assert RoomParticipants(other).stay_of("agent") is None
