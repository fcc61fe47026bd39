"""What LiveKit tells: a verified webhook, and what of it may be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from meetai_contracts.identifiers import clean_text

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


WORDS: Final = {
    "room": frozenset({"metadata"}),
    "participant": frozenset({"name", "metadata", "attributes", "tracks"}),
    "track": frozenset({"name"}),
}
"""Parts of a body, and what of them isn't kept: names, and an agent's instructions."""

KEPT: Final = {
    "egressInfo": frozenset(
        {"egressId", "roomId", "roomName", "sourceType", "status", "startedAt", "endedAt", "updatedAt", "errorCode"}
        | {"retryCount", "backupStorageUsed", "fileResults", "streamResults", "segmentResults", "imageResults"}
        | {"duration", "size", "segmentCount", "imageCount", "retries", "lastRetryAt"}
    ),
    "ingressInfo": frozenset(
        {"ingressId", "inputType", "roomName", "reusable", "enabled", "state"}
        | {"status", "roomId", "resourceId", "startedAt", "endedAt", "updatedAt"}
    ),
}
"""Parts of a body, and all that is kept of them at any depth. What else they hold names people, files and addresses, some with
a password within, and newer servers add to it (livekit-protocol 1.1.29, EgressInfo and IngressInfo)."""


class Room(Struct, frozen=True):
    """The room that a webhook is about. Track events carry no more than sid and name: `created_at` is None, `metadata` ""."""

    sid: str
    name: str
    created_at: datetime | None
    metadata: str = ""


class Webhook(Struct, frozen=True):
    """A verified webhook.

    Attributes:
        id: `EV_…`, the same in every delivery of one event.
        event: LiveKit's name of it, known to us or not.
        created_at: When LiveKit noticed, to the second.
        body: All of it, without credentials.
        is_of_agent: Whether the participant that it is about is an agent.
    """

    id: str
    event: str
    created_at: datetime
    room: Room | None
    body: dict[str, Any]
    is_of_agent: bool = False


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


def minimised(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a webhook that was understood: ids, times and states, and no words that people or applications chose."""
    kept = dict(body)
    for part, words in WORDS.items():
        if isinstance(body.get(part), dict):
            kept[part] = {key: value for key, value in body[part].items() if key not in words}
    for part, keys in KEPT.items():
        if part in body:
            kept[part] = _only(keys, body[part])
    return kept


def room_of(webhook: Webhook) -> Room | None:
    """The room that a webhook is about: its own, or else the one that its egress or ingress names."""
    if webhook.room is not None:
        return webhook.room
    for part in KEPT:
        about = webhook.body.get(part)
        name = about.get("roomName") if isinstance(about, dict) else None
        if isinstance(name, str):
            return Room(sid="", name=name, created_at=None)
    return None


def webhook_label(event: str) -> str:
    """The name of a webhook for a metric: one of a known few."""
    return event if event in KNOWN_WEBHOOKS else "other"


def _only(keys: frozenset[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _only(keys, item) for key, item in value.items() if key in keys}
    return [_only(keys, item) for item in value] if isinstance(value, list) else value
