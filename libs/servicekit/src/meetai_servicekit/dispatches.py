"""Requests to LiveKit that an agent join a room, and what their records are worth. Pure: `livekit` makes the calls."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

DISPATCH_SETTLES_SECONDS: Final = 15.0
"""How long a dispatch without an agent in the room still counts as on its way. A warm worker joins within 0.6 s, a worker
that is just starting needs up to 12 s (FACTS, LiveKit server and livekit-agents)."""


class Dispatch(Struct, frozen=True, order=True):
    """A request that an agent join a room. Ordered by age, and by id among those of one instant."""

    created_at: datetime
    id: str


def is_on_its_way(dispatch: Dispatch, now: datetime) -> bool:
    """Whether a dispatch may still bring an agent. Dispatch records never show a death (FACTS), so age decides."""
    return (now - dispatch.created_at).total_seconds() < DISPATCH_SETTLES_SECONDS
