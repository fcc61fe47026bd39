"""What goes out, and who is woken by what came in. See the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from meetai_contracts.events import DomainEvent


class Unsent(Struct, frozen=True):
    """Events in the outbox that the stream hasn't confirmed: how many, and how long the oldest has waited."""

    count: int
    oldest_seconds: float


class Outbox(Protocol):
    """Events that were decided, each in one transaction with what it says."""

    async def complete_quiet_rooms(self, *, quiet_seconds: float, limit: int) -> int:
        """Decide that rooms are complete: of up to `limit` that may be and in which nothing has ended for so long, those that are.

        Returns for how many there is now an event; a room has one, ever.
        """

    async def claim(self, *, limit: int, lease_seconds: float) -> tuple[DomainEvent, ...]:
        """Take unsent events, the oldest first, and keep others from them until the lease ends."""

    async def mark_sent(self, event_ids: Sequence[str]) -> None:
        """Say that these are on the stream."""

    async def unsent(self) -> Unsent:
        """What isn't."""


class EventsStream(Protocol):
    """Where events go."""

    async def publish(self, events: Sequence[DomainEvent]) -> None:
        """Return when all are on the stream. After an error some may be; they are published again, under the same ids."""


class Wakeups(Protocol):
    """Who says that there may be new lines."""

    async def listen(self) -> None:
        """Hand on wake-ups until the connection is lost; after each time without one, wake everybody."""
