"""Calendar events as a kind of proposal: what counts as an answer, what is the same, what is told."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_agent.domain.errors import ProposalRefusedError, ReplyUnusableError
from meetai_agent.domain.proposal import Decided, Popup
from meetai_agent.tools.calendar_proposal import CalendarProposals
from meetai_agent.usecases.asking import Asked
from meetai_contracts.approval import MAX_APPROVAL_BYTES, ApprovalRequest, CalendarEvent
from meetai_contracts.codec import decode_json, encode_json
from meetai_contracts.events import CalendarEventDecided, DomainEvent

BERLIN = ZoneInfo("Europe/Berlin")
EVENT = CalendarEvent(
    title="Retro",
    start=dt.datetime(2026, 11, 9, 10, 0, tzinfo=BERLIN),
    end=dt.datetime(2026, 11, 9, 10, 30, tzinfo=BERLIN),
    time_zone="Europe/Berlin",
    attendees=("ann@example.com", "u-2"),
)
POPUP = Popup(UUID(int=7), EVENT)
NOW = dt.datetime(2026, 11, 2, 9, 0, tzinfo=dt.UTC)
KIND = CalendarProposals()


def payload(**changes: Any) -> str:
    return json.dumps({"v": 1, "proposalId": str(POPUP.id), "decision": "approved", **changes})


def changed(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(encode_json(EVENT))
    return event | changes


def test_an_answer_is_read_when_it_is_one() -> None:
    """Each of the three; texts are made storable, unknown fields ignored."""
    assert KIND.reply(payload(), POPUP).decision == "approved"
    rejected = KIND.reply(payload(decision="rejected", comment="Not\0now", more=1), POPUP)
    assert (rejected.decision, rejected.comment) == ("rejected", "Not\ufffdnow")
    modified = KIND.reply(payload(decision="modified", event=changed(title="Re\0tro")), POPUP)
    assert modified.changed == msgspec.structs.replace(EVENT, title="Re\ufffdtro")


@pytest.mark.parametrize(
    "rubbish",
    [
        "",
        "yes",
        "null",
        "[]",
        '"approved"',
        "[" * 100_000,
        "\ud800",
        payload(v=2),
        payload(proposalId=str(UUID(int=8))),
        payload(proposalId="x"),
        payload(decision="Approved"),
        payload(decision="yes"),
        payload(decision=True),
        payload(decision="modified"),
        payload(event=changed()),
        payload(decision="modified", event=changed(end="2026-11-09T09:00:00+01:00")),
        payload(decision="modified", event=changed(start="2026-11-09T10:00:00")),
        payload(decision="modified", event=changed(start="0001-01-01T00:00:00+14:00")),
        payload(decision="modified", event=changed(end="9999-12-31T23:59:59-12:00")),
        payload(decision="modified", event=changed(timeZone="Mars/Olympus")),
        payload(decision="modified", event=changed(timeZone="/etc/localtime")),
        payload(decision="modified", event=changed(timeZone="America")),
        payload(decision="modified", event=changed(title="")),
        payload(decision="modified", event=changed(title=" ")),
        payload(decision="modified", event=changed(attendees=["x"] * 33)),
        payload(comment="x" * MAX_APPROVAL_BYTES),
        payload(comment="x" * 2_001),
    ],
)
def test_rubbish_is_never_an_answer(rubbish: str) -> None:
    """Of any kind; and never another error."""
    with pytest.raises(ReplyUnusableError):
        KIND.reply(rubbish, POPUP)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5).map(json.dumps))
def test_noise_is_never_an_answer(noise: str) -> None:
    """Whatever it is."""
    with pytest.raises(ReplyUnusableError):
        KIND.reply(noise, POPUP)


def test_a_change_that_could_not_be_shown_again_is_no_answer() -> None:
    """A second popup has to fit into an RPC too."""
    room = MAX_APPROVAL_BYTES - len(payload(decision="modified", event=changed(description="")))
    at_the_limit = payload(decision="modified", event=changed(description="\\" * 3_000, location="x" * 400))
    assert len(at_the_limit) < MAX_APPROVAL_BYTES
    assert KIND.reply(at_the_limit, POPUP).decision == "modified"
    wide = "\N{GRINNING FACE}" * (room // 4)
    with pytest.raises(ReplyUnusableError):
        KIND.reply(
            json.dumps(
                {
                    "v": 1,
                    "proposalId": str(POPUP.id),
                    "decision": "modified",
                    "event": changed(description=wide, location=None),
                },
                ensure_ascii=False,
                separators=(",", ":"),
            ),
            POPUP,
        )


def test_what_is_shown_is_the_contract_and_fits_an_rpc() -> None:
    """What doesn't fit is refused, before anybody is asked."""
    request = KIND.request(POPUP, NOW).encode()
    assert decode_json(request, ApprovalRequest, max_bytes=MAX_APPROVAL_BYTES) == ApprovalRequest(
        1, POPUP.id, "calendar_event", NOW, EVENT
    )
    huge = msgspec.structs.replace(EVENT, description="\N{GRINNING FACE}" * 3_900)
    with pytest.raises(ProposalRefusedError, match="Shorten its description"):
        KIND.request(Popup(POPUP.id, huge), NOW)


@pytest.mark.parametrize(
    "same",
    [
        {"title": " retro"},
        {"start": EVENT.start.astimezone(dt.UTC), "end": EVENT.end.astimezone(dt.UTC)},
        {"attendees": ("U-2", "ann@example.com", "u-2")},
        {"description": ""},
    ],
)
def test_events_are_the_same_when_a_person_would_say_so(same: dict[str, Any]) -> None:
    """Models don't repeat themselves letter by letter."""
    assert KIND.canonical(msgspec.structs.replace(EVENT, **same)) == KIND.canonical(EVENT)


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Retro 2"},
        {"start": EVENT.start - dt.timedelta(minutes=1)},
        {"attendees": ("ann@example.com",)},
        {"description": "What went well?"},
        {"location": "Room 4"},
        {"time_zone": "Europe/Paris"},
    ],
)
def test_events_are_not_the_same_when_anything_else_differs(other: dict[str, Any]) -> None:
    """Then it is another proposal, with a popup of its own."""
    assert KIND.canonical(msgspec.structs.replace(EVENT, **other)) != KIND.canonical(EVENT)


def test_a_second_look_is_for_other_times_alone() -> None:
    """The same instants in another zone aren't other times."""
    assert KIND.second_look(EVENT, msgspec.structs.replace(EVENT, end=EVENT.end + dt.timedelta(minutes=1)))
    moved = msgspec.structs.replace(EVENT, start=EVENT.start.astimezone(dt.UTC), title="Other")
    assert not KIND.second_look(EVENT, moved)


@pytest.mark.parametrize("outcome", ["approved", "rejected", "expired"])
def test_what_is_told_is_the_contract(outcome: Any) -> None:
    """Under an id that follows from the proposal's; with a calendar file only when it was approved."""
    asked = Asked("standup", "RM_1", "ada", NOW)
    event = KIND.event(Decided(outcome, "decided", POPUP, modified=True, comment="fine"), asked)
    again = decode_json(encode_json(event), DomainEvent, max_bytes=MAX_APPROVAL_BYTES)
    assert (again.id, again.name, again.occurred_at) == (
        f"meetai-calendar_event.{outcome}-{POPUP.id}",
        f"meetai/calendar_event.{outcome}",
        NOW,
    )
    told = msgspec.convert(again.data, CalendarEventDecided)
    assert (told.decided_by, told.decided_at, told.event, told.modified, told.comment) == (
        "ada",
        NOW,
        EVENT,
        True,
        "fine",
    )
    assert (told.ics is not None) == (outcome == "approved")
