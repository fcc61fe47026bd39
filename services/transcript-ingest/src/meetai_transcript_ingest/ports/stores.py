"""What is kept of transcripts: written, read, redriven, forgotten. See the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_contracts.dead_letters import DeadLetterSummary
from meetai_contracts.summary import MeetingSummary, StoredSummary
from meetai_transcript_ingest.domain.letters import KeptLetter, LetterFilter
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.parcels import DeadLetter, DeadReason, Parcel
from meetai_transcript_ingest.domain.proof import ProducerRecord
from meetai_transcript_ingest.domain.tail import PlacedLine, Version


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
            TooSlowError: it takes longer than a transaction may.
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

    async def kept(self) -> int:
        """How many there are; counted up to 10,000, since more than that say no more."""

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

    async def now(self) -> datetime:
        """The time by the store's clock."""

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

    async def version(self, meeting_id: str) -> Version:
        """What changes whenever a meeting's lines do.

        Asked before the lines are read, it is never newer than they are.
        """

    async def lines_since(self, meeting_id: str, position: int, limit: int) -> tuple[PlacedLine, ...]:
        """Up to `limit` lines of a meeting with a higher position, in the order of their commits.

        Raises:
            ErasedError: there are none, because the meeting was erased.
        """

    async def over_for_seconds(self, meeting_id: str) -> float | None:
        """How long ago the last of a meeting's producers was closed; None while one isn't, and where none is known."""

    async def producers(self, meeting_id: str) -> tuple[ProducerRecord, ...]:
        """All producers that a meeting is known to have had, in the order of their ids."""


class Summaries(Protocol):
    """What meetings came to; one summary a meeting."""

    async def get(self, meeting_id: str) -> StoredSummary | None:
        """What is kept; None where nothing is.

        Raises:
            ErasedError: nothing is, because the meeting was erased.
        """

    async def put(
        self, meeting_id: str, summary: MeetingSummary, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[StoredSummary, bool]:
        """Keep this and nothing else; what is kept then, and whether nothing was before. Durable on return.

        The same again changes nothing. `if_match`: only while the tag of what is kept is among these. `if_none_match`: only
        while it isn't among those.

        Raises:
            ErasedError: what it is made of was erased.
            OtherProducersError: what it is made of isn't what this meeting has.
            ChangedError: `if_match` isn't what is kept, or `if_none_match` is.
        """


class Upgrade(Protocol):
    """What an upgrade leaves to be done while the service runs."""

    async def place_lines(self) -> int:
        """Give every line that has no position one, after those of its meeting that have; returns how many got one."""
