"""How long delivery is tried, and what is on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from meetai_contracts.events import (
    DomainEvent,
)
from meetai_servicekit.backoff import Backoff
from meetai_webhook_bridge.domain.events import Source

RETRY: Final = Backoff(first_seconds=1.0, limit_seconds=3600.0)

MAX_ATTEMPTS: Final = 68
"""12 waits that double from 1 s and 55 of an hour: 28 h when every wait is as short as its jitter allows, 56 h at most."""


class ClaimedEvent(Struct, frozen=True):
    """An event that this process alone may deliver until its lease ends.

    Attributes:
        attempt: The number of this attempt, from 1.
        source: Who told it.
        waited_seconds: Since it was stored, or asked for again, until it was claimed.
        traceparent: The trace that it was stored in, as W3C Trace Context writes it; None for none.
    """

    event: DomainEvent
    attempt: int
    source: Source = "webhook"
    waited_seconds: float = 0.0
    traceparent: str | None = None


class Backlog(Struct, frozen=True):
    """What hasn't been delivered. The age is that of the oldest pending event, 0 when there is none."""

    pending: int
    dead: int
    oldest_pending_seconds: float


def retry_wait_seconds(attempt: int, random: Callable[[], float]) -> float | None:
    """How long to wait after failed attempt number `attempt`; None when it was the last."""
    return None if attempt >= MAX_ATTEMPTS else RETRY.wait_seconds(attempt, random)
