"""Calendar events as a kind of proposal: how one is shown, what counts as an answer, what is told of the end.

All that the generic part of approvals doesn't know about calendars. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from meetai_agent.domain.errors import ProposalRefusedError, ReplyUnusableError
from meetai_agent.domain.proposal import Decided, Popup, Reply
from meetai_agent.tools.calendar_file import calendar_file
from meetai_agent.usecases.asking import Asked
from meetai_contracts.approval import MAX_APPROVAL_BYTES, ApprovalReply, ApprovalRequest, CalendarEvent
from meetai_contracts.codec import ContractError, check_size, decode_json, encode_json
from meetai_contracts.events import (
    CALENDAR_EVENT_APPROVED,
    CALENDAR_EVENT_EXPIRED,
    CALENDAR_EVENT_REJECTED,
    CalendarEventDecided,
    DomainEvent,
    calendar_event_id,
)
from meetai_contracts.identifiers import clean_text

FIRST_YEAR: Final = 1971
LAST_YEAR: Final = 2199
"""Within what every calendar and time zone database can express."""
EVENT_NAMES: Final = {
    "approved": CALENDAR_EVENT_APPROVED,
    "rejected": CALENDAR_EVENT_REJECTED,
    "expired": CALENDAR_EVENT_EXPIRED,
}
_SPACES: Final = re.compile(r"\s+")


def check_event(event: CalendarEvent) -> None:
    """Beyond the contract's own checks: what a calendar could not hold.

    Raises:
        ValueError: naming the field.
    """
    for name, at in (("start", event.start), ("end", event.end)):
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValueError(f"{name} must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    try:
        ZoneInfo(event.time_zone)
    except (ValueError, OSError, LookupError):
        raise ValueError("timeZone must be an IANA time zone like Europe/Berlin") from None
    if not event.title.strip():
        raise ValueError("title must not be blank")


def cleaned(event: CalendarEvent) -> CalendarEvent:
    """The event with texts that can be stored: PostgreSQL refuses NUL."""
    return msgspec.structs.replace(
        event,
        title=clean_text(event.title),
        attendees=tuple(clean_text(attendee) for attendee in event.attendees),
        description=clean_text(event.description) if event.description else None,
        location=clean_text(event.location) if event.location else None,
    )


class CalendarProposals:
    """`usecases.asking.ApprovalKind` for calendar events."""

    name: Literal["calendar_event"] = "calendar_event"

    def canonical(self, content: CalendarEvent) -> bytes:
        """Instants in UTC, texts without their case and spacing, attendees in any order and once."""
        same = msgspec.structs.replace(
            content,
            title=_folded(content.title),
            start=content.start.astimezone(UTC),
            end=content.end.astimezone(UTC),
            attendees=tuple(sorted({_folded(attendee) for attendee in content.attendees})),
            description=_folded(content.description or "") or None,
            location=_folded(content.location or "") or None,
        )
        return encode_json(same)

    def request(self, popup: Popup[CalendarEvent], expires_at: datetime) -> str:
        """The RPC's payload, at most 15 KiB.

        Raises:
            ProposalRefusedError: it would be more.
        """
        data = encode_json(
            ApprovalRequest(v=1, proposal_id=popup.id, kind=self.name, expires_at=expires_at, event=popup.content)
        )
        try:
            check_size(data, MAX_APPROVAL_BYTES)
        except ContractError as error:
            raise ProposalRefusedError(
                f"The event {error.reason}, so nobody was asked. Shorten its description."
            ) from None
        return data.decode()

    def reply(self, payload: str, popup: Popup[CalendarEvent]) -> Reply[CalendarEvent]:
        """What came back.

        Raises:
            ReplyUnusableError: not an `ApprovalReply` to this popup, or with an event that can't be.
        """
        try:
            answer = decode_json(payload.encode("utf-8", "replace"), ApprovalReply, max_bytes=MAX_APPROVAL_BYTES)
            changed = cleaned(answer.event) if answer.event else None
            if changed is not None:
                check_event(changed)
                self.request(Popup(popup.id, changed), changed.start.astimezone(UTC))
        except (ContractError, ValueError, OverflowError, ProposalRefusedError) as error:
            raise ReplyUnusableError(type(error).__name__) from error
        if answer.proposal_id != popup.id:
            raise ReplyUnusableError("another proposal")
        return Reply(answer.decision, changed, clean_text(answer.comment) if answer.comment else None)

    def second_look(self, before: CalendarEvent, after: CalendarEvent) -> bool:
        """When the time is another: a slip of a finger there wastes other people's time."""
        return (before.start, before.end) != (after.start, after.end)

    def event(self, end: Decided[CalendarEvent], asked: Asked) -> DomainEvent:
        """`meetai/calendar_event.approved`, with the calendar file, or `…rejected` or `…expired`, without."""
        ics = None
        if end.outcome == "approved":
            ics = calendar_file(end.popup.content, uid=end.popup.id, stamp=asked.at, organizer=asked.identity)
        decided = CalendarEventDecided(
            meeting_id=asked.meeting_id,
            room_sid=asked.room_sid,
            proposal_id=end.popup.id,
            decided_by=asked.identity,
            decided_at=asked.at,
            event=end.popup.content,
            modified=end.modified,
            comment=end.comment,
            ics=ics,
        )
        name = EVENT_NAMES[end.outcome]
        data = msgspec.to_builtins(decided)
        return DomainEvent(1, calendar_event_id(name, end.popup.id), name, asked.at, data)


def _folded(text: str) -> str:
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()
