"""`DeadLetters` in memory, over the letters that a `FakeStore` keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import structs
from tests.unit.transcript_ingest.fakes import FakeStore

from meetai_contracts.dead_letters import DeadLetterSummary
from meetai_transcript_ingest.domain.errors import LetterGoneError
from meetai_transcript_ingest.domain.letters import KeptLetter, LetterFilter
from meetai_transcript_ingest.domain.parcels import DeadLetter, DeadReason, Parcel
from meetai_transcript_ingest.ports import Rewritten

DIED_FROM = datetime(2026, 11, 23, tzinfo=UTC)

Key = tuple[str, str, int]


class FakeDeadLetters:
    """Numbers letters as it first sees them; each died a second after the one before."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.audited: list[tuple[str, str | None]] = []
        self._ids: dict[Key, int] = {}
        self._attempts: dict[int, int] = {}

    async def page(self, wanted: LetterFilter, *, before: int | None, limit: int) -> tuple[DeadLetterSummary, ...]:
        found = [self._summary(key) for key in self._keys()]
        return tuple(
            letter
            for letter in reversed(found)
            if (before is None or letter.id < before)
            and wanted.reason in {None, letter.reason}
            and wanted.meeting_id in {None, letter.meeting_id}
            and (wanted.died_from is None or letter.died_at >= wanted.died_from)
            and (wanted.died_before is None or letter.died_at < wanted.died_before)
            and wanted.entry in {None, (letter.stream, letter.entry_id)}
        )[:limit]

    async def get(self, letter_id: int) -> KeptLetter:
        key = self._key(letter_id)
        return KeptLetter(self._summary(key), self.store.letters[key].payload)

    async def kept(self) -> int:
        return len(self._keys())

    async def rewrite(self, letter: KeptLetter, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Rewritten:
        self._key(letter.summary.id)
        outcome = await self.store.commit(parcels, letters)
        itself = next((new for new in letters if new.seq == letter.seq), None)
        if itself is not None:
            await self.note_attempt(letter, itself.reason, itself.detail)
        elif letter.seq is not None and outcome.conflicts:
            await self.note_attempt(letter, "conflict", "another line is stored under this id")
        else:
            del self.store.letters[self._key(letter.summary.id)]
            return Rewritten(outcome, removed=True)
        return Rewritten(outcome, removed=False)

    async def note_attempt(self, letter: KeptLetter, reason: DeadReason, detail: str) -> None:
        key = self._key(letter.summary.id)
        self.store.letters[key] = structs.replace(self.store.letters[key], reason=reason, detail=detail)
        self._attempts[letter.summary.id] = self._attempts.get(letter.summary.id, 0) + 1

    async def discard(self, letter_id: int, *, actor: str) -> None:
        gone = self.store.letters.pop(self._key(letter_id))
        self.audited.append((actor, gone.meeting_id))

    def _keys(self) -> list[Key]:
        for key in self.store.letters:
            self._ids.setdefault(key, len(self._ids) + 1)
        return sorted(self.store.letters, key=lambda key: self._ids[key])

    def _key(self, letter_id: int) -> Key:
        for key in self._keys():
            if self._ids[key] == letter_id:
                return key
        raise LetterGoneError("no such dead letter")

    def _summary(self, key: Key) -> DeadLetterSummary:
        letter, number = self.store.letters[key], self._ids[key]
        attempts = self._attempts.get(number, 0)
        return DeadLetterSummary(
            id=number,
            reason=letter.reason,
            detail=letter.detail,
            stream=letter.stream,
            entry_id=letter.entry_id,
            meeting_id=letter.meeting_id,
            producer_id=letter.producer_id,
            seq=letter.seq,
            died_at=DIED_FROM + timedelta(seconds=number),
            attempts=attempts,
            attempted_at=DIED_FROM if attempts else None,
            payload_bytes=len(letter.payload),
        )
