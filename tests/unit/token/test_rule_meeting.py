"""Who may see, empty and end a meeting; and what they are told when it isn't there."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.unit.token.fake_rooms import NEW_YEAR, FakeClock, FakeRoom, FakeRooms

from meetai_token.domain.errors import NotLiveError, RefusedError, RoomsUnavailableError
from meetai_token.domain.policy import Caller, caller_of_key
from meetai_token.domain.rooms import Present
from meetai_token.usecases import RuleMeeting, rule_meeting

ADMIN = caller_of_key("crm", {"meetings:admin"})
READER = caller_of_key("crm", {"meetings:read"})
MINTER = caller_of_key("crm", {"tokens:host"})
ELSEWHERE = Caller(name="ann", rights=ADMIN.rights, meeting_id="other")
ANN = Present("u-1", "Ann", NEW_YEAR, is_agent=False, publishing=True)


@pytest.fixture
def rooms() -> FakeRooms:
    rooms = FakeRooms(FakeClock())
    rooms.rooms["m"] = FakeRoom("{}", agents=1, people=[ANN])
    return rooms


async def test_everybody_is_seen_when_the_caller_may(rooms: FakeRooms) -> None:
    """People and agents."""
    seen = await RuleMeeting(rooms).see("m", READER)
    assert [each.is_agent for each in seen.present] == [False, True]


async def test_person_leaves_when_removed_and_all_do_when_it_ends(rooms: FakeRooms) -> None:
    """And the log says who did it."""
    rule = RuleMeeting(rooms)
    with capture_logs() as logs:
        await rule.remove("m", "u-1", ADMIN)
        assert rooms.rooms["m"].people == []
        await rule.end("m", ADMIN)
    assert rooms.rooms == {}
    assert [(line["event"], line["caller"]) for line in logs] == [
        ("participant_removed", "crm"),
        ("meeting_ended", "crm"),
    ]


async def test_caller_is_told_when_nobody_is_there(rooms: FakeRooms) -> None:
    """No such meeting, no such person."""
    rule = RuleMeeting(rooms)
    for attempt in (
        rule.see("gone", READER),
        rule.end("gone", ADMIN),
        rule.remove("gone", "u-1", ADMIN),
        rule.remove("m", "u-2", ADMIN),
    ):
        with pytest.raises(NotLiveError):
            await attempt


@pytest.mark.parametrize("caller", [READER, MINTER, ELSEWHERE])
async def test_nothing_is_asked_of_livekit_when_the_caller_may_not_manage(rooms: FakeRooms, caller: Caller) -> None:
    """Seeing isn't managing, minting hosts isn't either, and another meeting's host is nobody here."""
    for attempt in (RuleMeeting(rooms).remove("m", "u-1", caller), RuleMeeting(rooms).end("m", caller)):
        with pytest.raises(RefusedError):
            await attempt
    assert rooms.calls == []


@pytest.mark.parametrize("caller", [MINTER, ELSEWHERE])
async def test_nobody_is_seen_when_the_caller_may_not(rooms: FakeRooms, caller: Caller) -> None:
    """Who is in a meeting is nobody else's business."""
    with pytest.raises(RefusedError):
        await RuleMeeting(rooms).see("m", caller)
    assert rooms.calls == []


async def test_failure_is_told_in_time_when_livekit_is_silent(
    rooms: FakeRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a hang."""
    monkeypatch.setattr(rule_meeting, "ROOM_BUDGET_SECONDS", 0.05)
    rooms.silent = True
    async with asyncio.timeout(5):
        with pytest.raises(RoomsUnavailableError):
            await RuleMeeting(rooms).end("m", ADMIN)
