"""What comes in, what goes out, and who is woken by it. See the package."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from meetai_contracts.events import DomainEvent
from meetai_transcript_ingest.domain.intake import Arrival


class StreamStatus(Struct, frozen=True):
    """How far the group is behind.

    Attributes:
        lag_entries: Not delivered yet.
        pending_entries: Delivered and not acknowledged.
        oldest_pending_seconds: Age of the oldest of those, from when it was put on the stream.
    """

    lag_entries: int
    pending_entries: int
    oldest_pending_seconds: float


class Reclaimed(Struct, frozen=True):
    """Entries taken over from consumers that have gone quiet, and ids that were pending but are on the stream no more."""

    arrivals: tuple[Arrival, ...] = ()
    lost: tuple[str, ...] = ()


class EntryStream(Protocol):
    """One shard's stream, as this process sees it: one consumer of the group.

    Every method but `join` raises `GroupMissingError` where the stream or its group is gone.
    """

    @property
    def name(self) -> str:
        """The stream's key."""

    async def join(self) -> None:
        """Make the group, from the stream's start, unless it is there."""

    async def read(self) -> tuple[Arrival, ...]:
        """Entries that no consumer has had, as soon as there are any; none after a while without."""

    async def reclaim(self, in_hand: Collection[str]) -> Reclaimed:
        """Take over entries that nobody has confirmed or kept for a while, but for those `in_hand`."""

    async def keep(self, entry_ids: Sequence[str]) -> None:
        """Say that these are still being worked on, so that nobody takes them over."""

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Say that these are done for good."""

    async def trim(self) -> int:
        """Drop entries that every group is done with and that are older than the retention; returns how many."""

    async def prune_consumers(self) -> int:
        """Forget consumers that have gone quiet for good and owe nothing; returns how many."""

    async def status(self) -> StreamStatus:
        """How far the group is behind."""


class Unsent(Struct, frozen=True):
    """Events in the outbox that the stream hasn't confirmed: how many, and how long the oldest has waited."""

    count: int
    oldest_seconds: float


class Outbox(Protocol):
    """Events that were decided in the transaction that made them true."""

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
