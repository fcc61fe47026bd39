"""A token says who, where, as what and until when; the log says the same and never the token."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from tests.unit.token.fake_rooms import NEW_YEAR, FakeClock, FakeRooms

from meetai_contracts.api import TokenRequest
from meetai_token.domain.errors import RefusedError, RoomsUnavailableError
from meetai_token.domain.policy import caller_of_claims, caller_of_key
from meetai_token.ports import Grant
from meetai_token.usecases import AdmitPerson, PrepareRoom

ID = UUID("00000000-0000-4000-8000-000000000001")
CRM = caller_of_key("crm", {"tokens:participant"})


class RecordingMint:
    """Gives a token that can be recognised, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.grants: list[Grant] = []

    def mint(self, grant: Grant) -> str:
        self.grants.append(grant)
        return "the-token"


class Door:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.clock.advance(0.7)
        self.rooms = FakeRooms(self.clock)
        self.mint = RecordingMint()
        prepare = PrepareRoom(self.rooms, agent_name="meetai", now=self.clock)
        self.admit = AdmitPerson(prepare, self.mint, ttl_seconds=600, now=self.clock, new_id=lambda: ID)


@pytest.fixture
def door() -> Door:
    return Door()


async def test_token_is_minted_when_the_room_is_right(door: Door) -> None:
    """Whole seconds, since tokens have no others; the room's setup goes into it for a late first join."""
    admission = await door.admit("m", TokenRequest(user_id="u", user_name="Ann"), CRM)
    (grant,) = door.mint.grants
    assert (admission.token, admission.role, admission.expires_at) == ("the-token", "participant", grant.expires_at)
    assert (grant.meeting_id, grant.identity, grant.name, grant.jti) == ("m", "u", "Ann", str(ID))
    assert (grant.not_before, grant.expires_at) == (NEW_YEAR, NEW_YEAR + dt.timedelta(seconds=600))
    assert grant.setup.metadata == door.rooms.rooms["m"].metadata


async def test_audit_line_is_written_when_a_token_is_minted(door: Door) -> None:
    """Who, where, as what, for whom, which token: and not the token itself, nor a name."""
    with capture_logs() as logs:
        await door.admit("m", TokenRequest(user_id="u", user_name="Ann"), CRM)
    assert logs == [
        {
            "event": "token_minted",
            "log_level": "info",
            "meeting_id": "m",
            "identity": "u",
            "role": "participant",
            "jti": str(ID),
            "caller": "crm",
            "expires_at": "2026-01-01T00:10:00+00:00",
        }
    ]


async def test_livekit_is_not_asked_when_the_role_is_refused(door: Door) -> None:
    """A caller without the right makes no room either."""
    with pytest.raises(RefusedError):
        await door.admit("m", TokenRequest(user_id="u", user_name="A", role="host"), CRM)
    assert door.rooms.calls == []


@pytest.mark.parametrize(("field", "wish"), [("meetingName", {"meeting_name": "Mine"}), ("agent", {"agent": None})])
async def test_live_room_stays_as_it_is_when_the_caller_may_not_shape_it(
    door: Door, field: str, wish: dict[str, Any]
) -> None:
    """Who lets participants in may neither rename the meeting nor send its agent away; who lets hosts in may."""
    host = caller_of_key("crm", {"tokens:host"})
    await door.admit("m", TokenRequest(user_id="u", user_name="A", meeting_name="Ours"), host)
    before = list(door.rooms.calls), door.rooms.rooms["m"].metadata
    request = TokenRequest(user_id="u", user_name="A", **wish)
    with pytest.raises(RefusedError) as refusal:
        await door.admit("m", request, CRM)
    assert refusal.value.field == field
    assert (door.rooms.calls, door.rooms.rooms["m"].metadata) == before
    await door.admit("m", request, host)
    assert door.rooms.rooms["m"].metadata != before[1]


@pytest.mark.parametrize(
    ("meeting_id", "request_", "field"),
    [
        ("other", TokenRequest(user_id="ann", user_name="Ann"), "meetingId"),
        ("m", TokenRequest(user_id="bob", user_name="Ann"), "userId"),
        ("m", TokenRequest(user_id="ann", user_name="Bob"), "userName"),
        ("m", TokenRequest(user_id="ann", user_name="Ann", role="host"), "role"),
    ],
)
async def test_person_gets_no_token_when_their_claims_say_otherwise(
    door: Door, meeting_id: str, request_: TokenRequest, field: str
) -> None:
    """Claims decide room, person and role, whatever the request says; LiveKit isn't even asked."""
    ann = caller_of_claims("ann", "m", "participant", "Ann")
    with pytest.raises(RefusedError) as refusal:
        await door.admit(meeting_id, request_, ann)
    assert refusal.value.field == field
    assert (door.rooms.calls, door.mint.grants) == ([], [])


async def test_no_token_is_minted_when_livekit_is_away(door: Door) -> None:
    """A token for a room that isn't right would be a promise nobody keeps."""
    door.rooms.away = True
    with pytest.raises(RoomsUnavailableError):
        await door.admit("m", TokenRequest(user_id="u", user_name="A"), CRM)
    assert door.mint.grants == []
