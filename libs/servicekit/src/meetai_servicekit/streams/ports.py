"""What a consumer needs of a stream, and who counts what happens to it. The fake passes the suite of the real one.

Every method of a stream raises `TryLaterError` where its server can't answer now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from meetai_servicekit.patience import CountsPostponed, TryLaterError


class GroupMissingError(TryLaterError):
    """Retry after joining again: Redis has lost the stream or its consumer group."""


class Arrival(Struct, frozen=True):
    """One stream entry, as read."""

    stream: str
    entry_id: str
    fields: Mapping[bytes, bytes]


class StreamStatus(Struct, frozen=True):
    """How far the group is behind.

    Attributes:
        lag_entries: Not delivered yet.
        pending_entries: Delivered and not acknowledged.
        oldest_pending_seconds: Age of the oldest of those, from when it was put on the stream.
        memory_ratio: How much of what Redis may use it uses, 0 to 1; 0 where it has no limit, or doesn't tell.
    """

    lag_entries: int
    pending_entries: int
    oldest_pending_seconds: float
    memory_ratio: float = 0.0


class Reclaimed(Struct, frozen=True):
    """Entries taken over from consumers that have gone quiet, and ids that were pending but are on the stream no more."""

    arrivals: tuple[Arrival, ...] = ()
    lost: tuple[str, ...] = ()


class EntryStream(Protocol):
    """One stream, as this process sees it: one consumer of a group.

    Every method but `join` raises `GroupMissingError` where the stream or its group is gone.
    """

    @property
    def name(self) -> str:
        """The stream's key."""

    @property
    def has_more(self) -> bool:
        """The last read brought as much as one may, so that there is probably more; else it has left nothing behind."""

    async def join(self) -> None:
        """Make the group, from the stream's start, unless it is there."""

    async def read(self, *, wait: bool = True) -> tuple[Arrival, ...]:
        """Entries that no consumer has had, as soon as there are any; none after a while without, or at once without `wait`."""

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


class StreamObserver(CountsPostponed, Protocol):
    """Who counts what happens to a stream."""

    def reclaimed(self, stream: str, entries: int) -> None:
        """Entries were taken over."""

    def lost(self, stream: str, entries: int) -> None:
        """Entries left the stream before they were stored."""

    def stream_seen(self, stream: str, status: StreamStatus) -> None:
        """How far the group is behind."""
