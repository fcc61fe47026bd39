"""What the use cases need of the world outside. Adapters keep these promises; fakes pass the same tests.

Every method raises `TryLaterError` where its server can't answer now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Final, Protocol

from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_contracts.dead_letters import DeadLetterSummary
from meetai_contracts.events import DomainEvent
from meetai_transcript_ingest.domain.intake import Arrival, DeadLetter, DeadReason, Parcel
from meetai_transcript_ingest.domain.letters import KeptLetter, LetterFilter
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.proof import ProducerRecord
from meetai_transcript_ingest.domain.tail import PlacedLine


class Committed(Struct, frozen=True):
    """What a write came to.

    Attributes:
        lines: Newly stored.
        duplicates: Stored before, saying the same.
        conflicts: Ids that are taken by a line that says something else; the first is kept, these are dead letters.
        erased: Not stored, because the meeting was erased after their producer had started.
    """

    lines: int
    duplicates: int = 0
    conflicts: int = 0
    erased: int = 0


class LineStore(Protocol):
    """Where lines are kept for good."""

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        """Store all of it in one transaction, durably, or nothing. What is stored already is not stored again.

        Raises:
            RefusedError: the store will never take one of the parcels or letters.
        """

    async def prepare_partitions(self, first_day: date, days: int) -> int:
        """Make the partitions for `days` days from `first_day` where they are missing; returns how many were made."""


class Rewritten(Struct, frozen=True):
    """What redriving one dead letter came to.

    Attributes:
        outcome: Of the write itself.
        removed: The letter is gone; else it has stayed, with the reason for which it did.
    """

    outcome: Committed
    removed: bool


class DeadLetters(Protocol):
    """The dead letters that are kept. Methods that name one raise `LetterGoneError` when it isn't there any more."""

    async def page(self, wanted: LetterFilter, *, before: int | None, limit: int) -> tuple[DeadLetterSummary, ...]:
        """Up to `limit` letters, newest first, of those with an id below `before`."""

    async def get(self, letter_id: int) -> KeptLetter:
        """One letter, with its payload."""

    async def rewrite(self, letter: KeptLetter, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Rewritten:
        """Store what the letter holds and remove it, in one transaction.

        It stays, with the reason of today and one attempt more, when one of `letters` is the letter itself again, or when it is
        a line whose id is taken by another.

        Raises:
            RefusedError: the store will never take one of the parcels or letters. Nothing was changed.
        """

    async def note_attempt(self, letter: KeptLetter, reason: DeadReason, detail: str) -> None:
        """Say that a letter was tried again and stays, and why."""

    async def discard(self, letter_id: int, *, actor: str) -> None:
        """Remove a letter without storing what it holds, and put down who did so."""


class Erasures(Protocol):
    """Meetings that are to be forgotten."""

    async def request(self, meeting_id: str, *, actor: str) -> None:
        """From now on nothing of this meeting is read, and nothing that its producers bring is stored; durable on return."""

    async def erase_some(self, meeting_id: str) -> bool:
        """Remove a bounded part of what the erasure covers. True: there may be more; false: it is finished."""

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """Meetings whose erasure isn't finished, the oldest first."""


class Retention(Protocol):
    """What is kept only so long."""

    async def drop_partitions(self, before: date) -> tuple[int, bool]:
        """Drop the partitions of days before `before` with what is known of their producers.

        Returns how many, and whether these were all: not when somebody was in the way.
        """

    async def expire_some(self, before: datetime, *, audit_before: datetime) -> Mapping[str, int]:
        """Remove a bounded part of what is older and in no partition of its own; counts by kind, empty when nothing is left."""


class Archive(Protocol):
    """What is kept, as readers see it."""

    async def lines_after(
        self, meeting_id: str, after: Position | None, limit: int, *, committed_since: datetime | None = None
    ) -> tuple[StoredLine, ...]:
        """Up to `limit` lines of a meeting in reading order, from the start or after a place.

        With `committed_since`, only those whose `committed_at` is that instant or later.
        """

    async def version(self, meeting_id: str) -> int:
        """A number that grows whenever a meeting's lines change: the last position given; 0 for an unknown meeting.

        Asked before the lines are read, it is never newer than they are.
        """

    async def lines_since(self, meeting_id: str, position: int, limit: int) -> tuple[PlacedLine, ...]:
        """Up to `limit` lines of a meeting with a higher position, in the order of their commits."""

    async def producers(self, meeting_id: str) -> tuple[ProducerRecord, ...]:
        """All producers that a meeting is known to have had, in the order of their ids."""


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


class Observer(Protocol):
    """Who counts what happens."""

    def committed(self, stream: str, entries: int, outcome: Committed, seconds: float) -> None:
        """A set of entries is durable."""

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

    def postponed(self, what: str) -> None:
        """Something failed that will be tried again."""

    def reclaimed(self, stream: str, entries: int) -> None:
        """Entries were taken over."""

    def lost(self, stream: str, entries: int) -> None:
        """Entries left the stream before they were stored."""

    def stream_seen(self, stream: str, status: StreamStatus) -> None:
        """How far the group is behind."""


class Upgrade(Protocol):
    """What an upgrade leaves to be done while the service runs."""

    async def place_lines(self) -> int:
        """Give every line that has no position one, after those of its meeting that have; returns how many got one."""


class Wakeups(Protocol):
    """Who says that there may be new lines."""

    async def listen(self) -> None:
        """Hand on wake-ups until the connection is lost; after each time without one, wake everybody."""


class ReadingObserver(Protocol):
    """Who counts how transcripts are read."""

    def following(self, clients: int) -> None:
        """So many follow a meeting now."""

    def exported(self, suffix: str, *, is_whole: bool) -> None:
        """An export has ended; it isn't whole when the store or the reader went away."""


MAX_PARTICIPANT_TOKEN_BYTES: Final = 64 * 1024
"""A LiveKit token carries the room's metadata of up to 16 KiB, as JSON within JSON (quotes double) within base64 (4/3), beside
a few hundred bytes of claims: 44 KiB at the most."""


class Pass(Struct, frozen=True):
    """What a valid token lets its holder do here.

    Attributes:
        identity: The participant.
        meeting_id: The one meeting that they may join as a person; None where the token lets nobody join as one.
    """

    identity: str
    meeting_id: str | None


class ParticipantTokens(Protocol):
    """Who is a participant, by the token that let them into the room. Never raises, and asks nobody."""

    def pass_of(self, token: str) -> Pass | None:
        """What a token stands for; None for whatever isn't a token that is valid now."""
