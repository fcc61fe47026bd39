"""What an entry of the events stream says."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Final

import msgspec
from msgspec import Struct

from meetai_contracts.codec import ContractError, decode_json
from meetai_contracts.events import (
    EVENT_FIELD,
    MAX_EVENT_BYTES,
    DomainEvent,
)
from meetai_contracts.identifiers import check_id, clean_text
from meetai_servicekit.streams import Arrival
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.webhooks import storable

MAX_KEPT_BYTES: Final = 4 * MAX_EVENT_BYTES
"""Of an entry that is no event; a longer one is cut, since a row has to fit into memory."""


class StreamEntry(Struct, frozen=True):
    """An entry of the events stream, opened.

    Attributes:
        stream, entry_id: Where it was.
        payload: What it holds, at most `MAX_KEPT_BYTES`.
        event: None when it isn't an event that this version knows.
        reason: Why not, in words, without any of the payload; "" when it is one.
    """

    stream: str
    entry_id: str
    payload: bytes
    event: OutboundEvent | None
    reason: str = ""

    @property
    def ledger_id(self) -> str:
        """Under which the ledger lists what isn't an event: the same bytes have the same id, however often they come."""
        return f"unreadable-{hashlib.sha256(self.payload).hexdigest()[:32]}"


def open_entry(arrival: Arrival) -> StreamEntry:
    """Read an entry of the events stream. Never raises: what is wrong is part of what it returns."""
    payload = arrival.fields.get(EVENT_FIELD.encode())
    if payload is None:
        kept = msgspec.msgpack.encode(arrival.fields)
        return StreamEntry(
            arrival.stream, arrival.entry_id, kept[:MAX_KEPT_BYTES], None, f"the entry has no field {EVENT_FIELD}"
        )
    try:
        event, reason = _event_of_payload(payload), ""
    except ContractError as error:
        event, reason = None, str(error)
    except (RecursionError, OverflowError) as error:  # nested too deeply; a time that UTC can't express
        event, reason = None, type(error).__name__
    return StreamEntry(arrival.stream, arrival.entry_id, payload[:MAX_KEPT_BYTES], event, reason)


def _event_of_payload(payload: bytes) -> OutboundEvent:
    told = decode_json(payload, DomainEvent, max_bytes=MAX_EVENT_BYTES)
    if clean_text(told.id) != told.id:
        raise ContractError("id", "must not hold NUL or lone surrogates")
    data = storable(told.data)
    event = DomainEvent(v=1, id=told.id, name=told.name, occurred_at=told.occurred_at.astimezone(UTC), data=data)
    return OutboundEvent(
        event=event,
        source="stream",
        meeting_id=_id_or_none(data.get("meetingId")),
        room_sid=_id_or_none(data.get("roomSid")),
    )


def _id_or_none(value: object) -> str | None:
    """What the ledger finds an event by, and what it is put in order by; the event itself stays as it was told."""
    try:
        return check_id(value, "id") if isinstance(value, str) else None
    except ValueError:
        return None
