"""What is told to Inngest, and the stream that carries the agent's and the store's part of it to webhook-bridge.

Owns event names, their data and their deterministic ids. Inngest deduplicates on the id alone (FACTS, Inngest), so every
id begins with what names the event.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from meetai_contracts.approval import CalendarEvent, Zoned

EVENTS_STREAM: Final = "meetai:events"
EVENT_FIELD: Final = "e"
MAX_EVENT_BYTES: Final = 256 * 1024

ROOM_FINISHED: Final = "livekit/room_finished"
TRANSCRIPT_COMPLETED: Final = "meetai/transcript.completed"
CALENDAR_EVENT_APPROVED: Final = "meetai/calendar_event.approved"
CALENDAR_EVENT_REJECTED: Final = "meetai/calendar_event.rejected"
CALENDAR_EVENT_EXPIRED: Final = "meetai/calendar_event.expired"


class DomainEvent(Struct, frozen=True, rename="camel"):
    """One entry of the events stream (JSON, field `e`), and one row of webhook-bridge's inbox.

    Attributes:
        id: Deterministic; the same fact has the same id whoever tells it, and however often.
        name: Inngest's event name, `livekit/…` or `meetai/…`.
        occurred_at: When it happened, not when it was sent.
        data: One of the Structs below, as JSON.
    """

    v: Literal[1]
    id: Annotated[str, Meta(min_length=1, max_length=400)]
    name: Annotated[str, Meta(pattern=r"^(livekit|meetai)/[a-z_.]{1,100}$")]
    occurred_at: Zoned
    data: dict[str, Any]


class RoomFinished(Struct, frozen=True, rename="camel"):
    """`livekit/room_finished`: a meeting has ended.

    Attributes:
        started_at, ended_at: UTC.
        source: LiveKit's webhook, or the reconciler that noticed one was missing.
        reason: Why it is known to have ended, in a word or two: `webhook`, `room_gone`, …
    """

    meeting_id: str
    started_at: Zoned
    ended_at: Zoned
    room_sid: str
    source: Literal["webhook", "reconciler"]
    reason: str


class TranscriptCompleted(Struct, frozen=True, rename="camel"):
    """`meetai/transcript.completed`: every producer of a room sid has closed, all it declared is stored, and for a while no other has opened."""

    meeting_id: str
    room_sid: str
    lines: int
    completed_at: Zoned


class CalendarEventDecided(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`meetai/calendar_event.approved|rejected|expired`: what came of a proposal.

    Attributes:
        decided_by: Identity of the person asked; also for `expired`.
        ics: The event as an RFC 5545 object, for `approved` only.
    """

    meeting_id: str
    room_sid: str
    proposal_id: UUID
    decided_by: str
    decided_at: Zoned
    event: CalendarEvent
    modified: bool = False
    comment: str | None = None
    ics: str | None = None


def room_finished_id(room_sid: str) -> str:
    """The id of a room's end, whoever reports it."""
    return f"livekit-room_finished-{room_sid}"


def livekit_event_id(event: str, webhook_id: str) -> str:
    """The id of any other LiveKit event; `webhook_id` (`EV_…`) is the same across LiveKit's retries."""
    return f"livekit-{event}-{webhook_id}"


def transcript_completed_id(room_sid: str) -> str:
    """The id of a transcript's completion."""
    return f"meetai-transcript.completed-{room_sid}"


def calendar_event_id(name: str, proposal_id: UUID) -> str:
    """The id of a decision; `name` is one of the `CALENDAR_EVENT_*` names."""
    return f"{name.replace('/', '-')}-{proposal_id}"
