"""Which event a webhook becomes, and under which id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from meetai_contracts.events import (
    ROOM_FINISHED,
    DomainEvent,
    RoomFinished,
    livekit_event_id,
    room_finished_id,
)
from meetai_contracts.identifiers import check_id
from meetai_webhook_bridge.domain.errors import NoEventError
from meetai_webhook_bridge.domain.webhooks import Room, Webhook

Source = Literal["webhook", "reconciler", "stream"]


class OutboundEvent(Struct, frozen=True):
    """An event for the outbox, with what the ledger finds it by."""

    event: DomainEvent
    source: Source
    meeting_id: str | None
    room_sid: str | None


def event_of(webhook: Webhook, relayed: frozenset[str]) -> OutboundEvent | None:
    """The event that a webhook becomes; None when its kind isn't relayed.

    Raises:
        NoEventError: the webhook lacks what its event must say.
    """
    if webhook.event not in relayed:
        return None
    if webhook.event == "room_finished":
        return _room_finished(webhook)
    room = webhook.room or Room(sid="", name="", created_at=None)
    meeting_id, room_sid = room.name or None, room.sid or None
    data = {
        "meetingId": meeting_id,
        "roomSid": room_sid,
        "occurredAt": webhook.created_at,
        "source": "webhook",
        "webhook": webhook.body,
    }
    event = _domain_event(
        livekit_event_id(webhook.event, webhook.id), f"livekit/{webhook.event}", webhook.created_at, data
    )
    return OutboundEvent(event=event, source="webhook", meeting_id=meeting_id, room_sid=room_sid)


def _room_finished(webhook: Webhook) -> OutboundEvent:
    room = webhook.room
    if room is None or not room.sid or not room.name:
        raise NoEventError("room_incomplete")
    try:
        check_id(room.name, "room.name")
        check_id(room.sid, "room.sid")
    except ValueError as error:
        raise NoEventError("room_name_is_no_meeting_id") from error
    started_at = room.created_at or webhook.created_at
    finished = RoomFinished(
        meeting_id=room.name,
        started_at=started_at,
        # Webhooks are dated to the second, rooms to the millisecond: a short meeting must not end before it began.
        ended_at=max(webhook.created_at, started_at),
        room_sid=room.sid,
        source="webhook",
        reason="webhook",
    )
    event = _domain_event(room_finished_id(room.sid), ROOM_FINISHED, finished.ended_at, finished)
    return OutboundEvent(event=event, source="webhook", meeting_id=room.name, room_sid=room.sid)


def _domain_event(event_id: str, name: str, occurred_at: datetime, data: object) -> DomainEvent:
    return DomainEvent(
        v=1, id=event_id, name=name, occurred_at=occurred_at.astimezone(UTC), data=msgspec.to_builtins(data)
    )
