"""Which event a webhook becomes, and under which id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from meetai_contracts.events import (
    DomainEvent,
    livekit_event_id,
)
from meetai_webhook_bridge.domain.webhooks import Room, Webhook, room_of

Source = Literal["webhook", "reconciler", "stream"]


class OutboundEvent(Struct, frozen=True):
    """An event for the outbox, with what the ledger finds it by."""

    event: DomainEvent
    source: Source
    meeting_id: str | None
    room_sid: str | None


def event_of(webhook: Webhook, relayed: frozenset[str]) -> OutboundEvent | None:
    """The event that a webhook becomes by itself; None when its kind isn't relayed.

    A room's end is told by `meetings`, since other rooms may be part of it.
    """
    if webhook.event not in relayed or webhook.event == "room_finished":
        return None
    room = room_of(webhook) or Room(sid="", name="", created_at=None)
    meeting_id, room_sid = room.name or None, room.sid or None
    data = {
        "meetingId": meeting_id,
        "roomSid": room_sid,
        "occurredAt": webhook.created_at,
        "source": "webhook",
        "webhook": webhook.body,
    }
    event = domain_event(
        livekit_event_id(webhook.event, webhook.id), f"livekit/{webhook.event}", webhook.created_at, data
    )
    return OutboundEvent(event=event, source="webhook", meeting_id=meeting_id, room_sid=room_sid)


def domain_event(event_id: str, name: str, occurred_at: datetime, data: object) -> DomainEvent:
    """An event as the contract has it; `data` is a Struct or JSON values."""
    return DomainEvent(
        v=1, id=event_id, name=name, occurred_at=occurred_at.astimezone(UTC), data=msgspec.to_builtins(data)
    )
