"""The ports in memory. They pass the same suites as the adapters (tests/integration/transcript_ingest/test_*_suite.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from tests.unit.servicekit.fake_streams import FakeStreamObserver

from meetai_contracts.api import StoredLine, stored_line
from meetai_contracts.transcript import TranscriptLine
from meetai_transcript_ingest.domain.errors import RefusedError, TryLaterError
from meetai_transcript_ingest.domain.paging import Position
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, dead_line, in_write_order
from meetai_transcript_ingest.domain.producers import Declaration, merge
from meetai_transcript_ingest.domain.proof import MAX_RANGES, ProducerRecord, Range
from meetai_transcript_ingest.domain.tail import PlacedLine, Version
from meetai_transcript_ingest.ports import Committed, Unsent

COMMITTED_AT = datetime(2026, 11, 23, tzinfo=UTC)


def ranges_of(numbers: Collection[int]) -> tuple[Range, ...]:
    """Consecutive numbers as ranges, ascending and apart."""
    ranges: list[Range] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


class FakeStore:
    """`LineStore` and `Archive` in memory.

    Attributes:
        refuses: Which lines it will never take; what isn't UTF-8, as PostgreSQL.
        away: Raise `TryLaterError` for everything.
    """

    def __init__(self, refuses: Callable[[TranscriptLine], bool] = lambda line: not _is_utf8(line.text)) -> None:
        self.refuses = refuses
        self.away = False
        self.commits = 0
        self.letters: dict[tuple[str, str, int], DeadLetter] = {}
        self.partitions: set[date] = set()
        self._lines: dict[tuple[UUID, int], tuple[str, str, TranscriptLine]] = {}
        self._producers: dict[UUID, Declaration] = {}

    async def commit(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        """All or nothing: everything is checked before anything is changed."""
        await self._answer()
        ordered = in_write_order(parcels)
        declared = merge(parcel.declaration for parcel in ordered)
        for new in declared:
            if self._producers.get(new.producer_id, new).meeting_id != new.meeting_id:
                raise RefusedError("a producer belongs to another meeting")
        if any(self.refuses(line.as_said()) for parcel in ordered for line in parcel.lines):
            raise RefusedError("refused")
        self.commits += 1
        for new in declared:
            known = self._producers.get(new.producer_id, new)
            (self._producers[new.producer_id],) = merge([known, new])
        stored = duplicates = 0
        conflicts: list[DeadLetter] = []
        for parcel in ordered:
            about = parcel.declaration
            for line in parcel.lines:
                row = (about.meeting_id, about.room_sid, line.as_said())
                known_row = self._lines.setdefault((about.producer_id, line.seq), row)
                if known_row is row:
                    stored += 1
                elif _but_for_source(known_row) == _but_for_source(row):
                    duplicates += 1
                else:
                    conflicts.append(dead_line(parcel, line, "conflict", "another line is stored under this id"))
        for letter in [*letters, *conflicts]:
            self.letters.setdefault((letter.stream, letter.entry_id, letter.seq or 0), letter)
        return Committed(stored, duplicates, len(conflicts))

    async def prepare_partitions(self, first_day: date, days: int) -> int:
        await self._answer()
        wanted = {date.fromordinal(first_day.toordinal() + day) for day in range(days)}
        made = wanted - self.partitions
        self.partitions |= made
        return len(made)

    async def lines_after(
        self, meeting_id: str, after: Position | None, limit: int, *, committed_since: datetime | None = None
    ) -> tuple[StoredLine, ...]:
        await self._answer()
        if committed_since is not None and committed_since > COMMITTED_AT:
            return ()
        lines = [line for meeting, _, line in self._lines.values() if meeting == meeting_id]
        lines.sort(key=_reading_order)
        if after is not None:
            place = (after.started_ms, after.producer_id, after.seq)
            lines = [line for line in lines if _reading_order(line) > place]
        return tuple(stored_line(line, COMMITTED_AT) for line in lines[:limit])

    async def version(self, meeting_id: str) -> Version:
        await self._answer()
        known = [about for about in self._producers.values() if about.meeting_id == meeting_id]
        return Version(len(self._in_commit_order(meeting_id)), len(known))

    async def lines_since(self, meeting_id: str, position: int, limit: int) -> tuple[PlacedLine, ...]:
        await self._answer()
        placed = enumerate(self._in_commit_order(meeting_id), 1)
        return tuple(PlacedLine(at, stored_line(line, COMMITTED_AT)) for at, line in placed if at > position)[:limit]

    def _in_commit_order(self, meeting_id: str) -> list[TranscriptLine]:
        return [line for meeting, _, line in self._lines.values() if meeting == meeting_id]

    async def over_for_seconds(self, meeting_id: str) -> float | None:
        records = await self.producers(meeting_id)
        seconds = [record.closed_for_seconds for record in records if record.closed_for_seconds is not None]
        return min(seconds) if seconds and len(seconds) == len(records) else None

    async def producers(self, meeting_id: str) -> tuple[ProducerRecord, ...]:
        await self._answer()
        known = [about for about in self._producers.values() if about.meeting_id == meeting_id]
        return tuple(self._record(about) for about in sorted(known, key=lambda about: about.producer_id))

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise TryLaterError("the store is away")

    def _record(self, about: Declaration) -> ProducerRecord:
        stored = {seq for producer_id, seq in self._lines if producer_id == about.producer_id}
        dead = {
            letter.seq
            for letter in self.letters.values()
            if letter.producer_id == about.producer_id and letter.meeting_id == about.meeting_id and letter.seq
        }
        present = {seq for seq in stored | dead if seq <= about.declared}
        named = {seq for first, last in about.gaps for seq in range(first, last + 1)}
        return ProducerRecord(
            producer_id=about.producer_id,
            room_sid=about.room_sid,
            declared=about.declared,
            stored=len(stored),
            dead=len(dead),
            present=len(present),
            present_ranges=ranges_of(present)[: MAX_RANGES + 1],
            named_lost=len(named - present),
            closed_for_seconds=0.0 if about.closed else None,
        )


class FakeObserver(FakeStreamObserver):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.committed_sets: list[tuple[int, Committed]] = []
        self.dead: dict[str, int] = {}
        self.fates: dict[str, int] = {}
        self.erasures = 0
        self.gone: dict[str, int] = {}
        self.published_events = 0
        self.unsent: Unsent | None = None
        self.waits: list[float] = []
        self.lines_named_lost = 0
        self.letters_kept = 0

    def committed(self, stream: str, entries: int, outcome: Committed, seconds: float) -> None:
        self.committed_sets.append((entries, outcome))

    def durable(self, stream: str, waits_seconds: Sequence[float]) -> None:
        self.waits += waits_seconds

    def named_lost(self, stream: str, lines: int) -> None:
        self.lines_named_lost += lines

    def letters_seen(self, kept: int) -> None:
        self.letters_kept = kept

    def dead_lettered(self, reason: str, count: int) -> None:
        self.dead[reason] = self.dead.get(reason, 0) + count

    def redriven(self, fate: str) -> None:
        self.fates[fate] = self.fates.get(fate, 0) + 1

    def erased(self) -> None:
        self.erasures += 1

    def expired(self, what: str, count: int) -> None:
        self.gone[what] = self.gone.get(what, 0) + count

    def published(self, events: int) -> None:
        self.published_events += events

    def outbox_seen(self, unsent: Unsent) -> None:
        self.unsent = unsent


def _reading_order(line: TranscriptLine) -> tuple[int, UUID, int]:
    return line.started_ms, line.producer_id, line.seq


def _is_utf8(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()


def _but_for_source(row: tuple[str, str, TranscriptLine]) -> tuple[str, str, TranscriptLine]:
    """What two versions of the service store alike."""
    meeting_id, room_sid, line = row
    return meeting_id, room_sid, msgspec.structs.replace(line, source="microphone")
