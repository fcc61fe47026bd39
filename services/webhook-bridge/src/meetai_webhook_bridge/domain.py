"""What a webhook or an entry of the events stream means: which event it becomes, under which id, and how long delivery is tried.

Owns values, rules and errors. Must not do I/O or read a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from meetai_contracts.codec import ContractError, decode_json
from meetai_contracts.events import (
    EVENT_FIELD,
    MAX_EVENT_BYTES,
    ROOM_FINISHED,
    DomainEvent,
    RoomFinished,
    livekit_event_id,
    room_finished_id,
)
from meetai_contracts.identifiers import check_id, clean_text
from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams import Arrival

KNOWN_WEBHOOKS: Final = frozenset(
    {
        "room_started",
        "room_finished",
        "participant_joined",
        "participant_left",
        "participant_connection_aborted",
        "track_published",
        "track_unpublished",
        "egress_started",
        "egress_updated",
        "egress_ended",
        "ingress_started",
        "ingress_ended",
    }
)
"""What livekit-server 1.13.5 sends (livekit/protocol, webhook/consts.go). Others are accepted as well."""

CREDENTIAL_KEYS: Final = frozenset({"turnPassword", "streamKey"})
"""Live credentials in LiveKit's bodies: of a room's TURN relay (FACTS, webhooks) and of an ingress."""

RETRY: Final = Backoff(first_seconds=1.0, limit_seconds=3600.0)
MAX_ATTEMPTS: Final = 68
"""12 waits that double from 1 s and 55 of an hour: 28 h when every wait is as short as its jitter allows, 56 h at most."""

MAX_KEPT_BYTES: Final = 4 * MAX_EVENT_BYTES
"""Of an entry that is no event; a longer one is cut, since a row has to fit into memory."""

Source = Literal["webhook", "reconciler", "stream"]


class BridgeError(Exception):
    """Anything this service raises on purpose. Each subclass says what the caller does next."""


class RetryError(BridgeError, TryLaterError):
    """Something outside is away; nothing is lost, the same call may be made again."""


class RejectError(BridgeError):
    """The input will never be acceptable; it must not be tried again.

    Attributes:
        reason: In a word or a few, without any of the input; for logs, not for the sender.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreAwayError(RetryError):
    """The database didn't answer in time, or not at all."""


class SendError(RetryError):
    """It isn't certain that the event was taken.

    Attributes:
        reason: A word, stored with the event; never a message, which could quote data.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForgedWebhookError(RejectError):
    """Not signed by a key that we know, not for this body, or not for now."""


class MalformedWebhookError(RejectError):
    """Signed, and yet not a webhook."""


class NoEventError(RejectError):
    """A webhook that ought to become an event and can't; it is stored all the same."""


class Room(Struct, frozen=True):
    """The room that a webhook is about. `created_at` is None in track events, which carry no more than sid and name."""

    sid: str
    name: str
    created_at: datetime | None


class Webhook(Struct, frozen=True):
    """A verified webhook.

    Attributes:
        id: `EV_…`, the same in every delivery of one event.
        event: LiveKit's name of it, known to us or not.
        created_at: When LiveKit noticed, to the second.
        body: All of it, without credentials.
    """

    id: str
    event: str
    created_at: datetime
    room: Room | None
    body: dict[str, Any]


class OutboundEvent(Struct, frozen=True):
    """An event for the outbox, with what the ledger finds it by."""

    event: DomainEvent
    source: Source
    meeting_id: str | None
    room_sid: str | None


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


class ClaimedEvent(Struct, frozen=True):
    """An event that this process alone may deliver until its lease ends.

    Attributes:
        attempt: The number of this attempt, from 1.
    """

    event: DomainEvent
    attempt: int


class Backlog(Struct, frozen=True):
    """What hasn't been delivered. The age is that of the oldest pending event, 0 when there is none."""

    pending: int
    dead: int
    oldest_pending_seconds: float


def storable(value: Any) -> Any:
    """A JSON value without credentials at any depth, and with text that PostgreSQL takes.

    Raises:
        RecursionError: nested deeper than the interpreter's stack.
    """
    if isinstance(value, dict):
        return {clean_text(key): storable(item) for key, item in value.items() if key not in CREDENTIAL_KEYS}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return clean_text(value) if isinstance(value, str) else value


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


def retry_wait_seconds(attempt: int, random: Callable[[], float]) -> float | None:
    """How long to wait after failed attempt number `attempt`; None when it was the last."""
    return None if attempt >= MAX_ATTEMPTS else RETRY.wait_seconds(attempt, random)


def webhook_label(event: str) -> str:
    """The name of a webhook for a metric: one of a known few."""
    return event if event in KNOWN_WEBHOOKS else "other"


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


def _domain_event(event_id: str, name: str, occurred_at: datetime, data: object) -> DomainEvent:
    return DomainEvent(
        v=1, id=event_id, name=name, occurred_at=occurred_at.astimezone(UTC), data=msgspec.to_builtins(data)
    )
