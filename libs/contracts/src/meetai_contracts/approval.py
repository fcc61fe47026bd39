"""The popup: how the agent asks one person, over LiveKit RPC, before it acts.

Owns the request and the reply of the RPC method `meetai.approval`. Must not decide what happens after a yes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

APPROVAL_METHOD: Final = "meetai.approval"
MAX_APPROVAL_BYTES: Final = 15 * 1024
"""The RPC payload limit of older LiveKit clients (FACTS, RPC)."""

Zoned = Annotated[datetime, Meta(tz=True)]
Decision = Literal["approved", "rejected", "modified"]


class CalendarEvent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What would be put in a calendar.

    Attributes:
        start, end: RFC 3339 with an offset; `end` after `start`.
        time_zone: IANA name in which people should read the times, e.g. `Europe/Berlin`.
        attendees: E-mail addresses or participant identities.
    """

    title: Annotated[str, Meta(min_length=1, max_length=256)]
    start: Zoned
    end: Zoned
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)]
    attendees: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=32)] = ()
    description: Annotated[str, Meta(max_length=4_000)] | None = None
    location: Annotated[str, Meta(max_length=512)] | None = None

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("end must be after start")


class ApprovalRequest(Struct, frozen=True, rename="camel"):
    """What the popup shows. A reply after `expires_at` is not acted upon."""

    v: Literal[1]
    proposal_id: UUID
    kind: Literal["calendar_event"]
    expires_at: Zoned
    event: CalendarEvent


class ApprovalReply(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the person decided.

    Attributes:
        event: The changed event; with `modified`, and only then.
        comment: The person's reason or remark.
    """

    v: Literal[1]
    proposal_id: UUID
    decision: Decision
    event: CalendarEvent | None = None
    comment: Annotated[str, Meta(max_length=2_000)] | None = None

    def __post_init__(self) -> None:
        if (self.event is not None) != (self.decision == "modified"):
            raise ValueError("event must be given with the decision modified, and only then")
