"""Webhooks as LiveKit makes them: protojson bodies, and the JWT that signs one."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import jwt

from meetai_contracts.room import AgentData, MeetingData, RoomMetadata, write_room_metadata

API_KEY = "devkey"
API_SECRET = "for-tests-only-and-long-enough-for-every-algorithm-that-is-tried"


def room_finished(
    webhook_id: str = "EV_1", *, sid: str = "RM_1", name: str = "standup", created_at: int = 1_700_000_600, **room: Any
) -> dict[str, Any]:
    """A `room_finished` with int64 as text, and with the live credential that LiveKit puts in."""
    return {
        "event": "room_finished",
        "id": webhook_id,
        "createdAt": str(created_at),
        "room": {
            "sid": sid,
            "name": name,
            "emptyTimeout": 300,
            "creationTime": "1700000000",
            "creationTimeMs": "1700000000123",
            "turnPassword": "live-credential",
            "enabledCodecs": [{"mime": "audio/opus"}],
            **room,
        },
    }


def encoded(webhook: object) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(webhook).encode()


def digest(body: bytes) -> str:
    """The `sha256` claim."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def claims(body: bytes, *, now: float | None = None, **changed: Any) -> dict[str, Any]:
    """The claims of livekit-server 1.13.5; a claim that is changed to None is left out."""
    now_seconds = int(time.time() if now is None else now)
    usual = {"iss": API_KEY, "nbf": now_seconds, "exp": now_seconds + 300, "sha256": digest(body), **changed}
    return {name: value for name, value in usual.items() if value is not None}


def signed(body: bytes, *, now: float | None = None, **changed: Any) -> str:
    """The `Authorization` that goes with a body."""
    return jwt.encode(claims(body, now=now, **changed), API_SECRET, algorithm="HS256")


def metadata(meeting_id: str, *, with_agent: bool = True) -> str:
    """What the token service puts into a room."""
    agent = AgentData(name="Scribe", instructions="") if with_agent else None
    return write_room_metadata(RoomMetadata(1, MeetingData(meeting_id, "Standup"), agent))
