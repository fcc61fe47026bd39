"""Who counts what happens. See the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meetai_servicekit.streams import StreamObserver
from meetai_transcript_ingest.ports.stores import Committed
from meetai_transcript_ingest.ports.streams import Unsent


class Observer(StreamObserver, Protocol):
    """Who counts what happens."""

    def committed(self, stream: str, entries: int, outcome: Committed, seconds: float) -> None:
        """A set of entries is durable."""

    def durable(self, stream: str, waits_seconds: Sequence[float]) -> None:
        """So long after its first words had ended, each entry of a set is durable."""

    def named_lost(self, stream: str, lines: int) -> None:
        """Producers have named so many of their lines as lost."""

    def letters_seen(self, kept: int) -> None:
        """So many dead letters wait to be redriven or discarded."""

    def dead_lettered(self, reason: str, count: int) -> None:
        """Entries or lines are in the dead-letter table."""

    def redriven(self, fate: str) -> None:
        """A dead letter was tried again: `redriven`, `stayed` or `discarded`."""

    def erased(self) -> None:
        """A meeting's erasure is finished."""

    def expired(self, what: str, count: int) -> None:
        """Something older than the retention was removed: partitions, or rows of a kind."""

    def published(self, events: int) -> None:
        """Events are on the events stream."""

    def outbox_seen(self, unsent: Unsent) -> None:
        """What is still to be published."""


class ReadingObserver(Protocol):
    """Who counts how transcripts are read."""

    def following(self, clients: int) -> None:
        """So many follow a meeting now."""

    def exported(self, suffix: str, *, is_whole: bool) -> None:
        """An export has ended; it isn't whole when the store or the reader went away."""
