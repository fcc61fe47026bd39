"""HTTP bodies of transcript-ingest's dead letters, camelCase.

Owns their shapes: what may be listed without showing what was said, and what one letter holds. Must not know paths.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from meetai_contracts.approval import Zoned
from meetai_contracts.identifiers import check_id
from meetai_contracts.transcript import CaptionSpeaker, Source


class DeadLetterSummary(Struct, frozen=True, rename="camel"):
    """A stream entry, or one line of it, that could not be stored. Never what was said.

    Attributes:
        reason: `no_batch`, `malformed`, `unknown_version`, `refused` or `conflict`.
        detail: The reason in words.
        seq: The line that it is; null for a whole entry.
        attempts: How often it was redriven and stayed.
    """

    id: int
    reason: str
    detail: str
    stream: str
    entry_id: str
    meeting_id: str | None
    producer_id: UUID | None
    seq: int | None
    died_at: Zoned
    attempts: int
    attempted_at: Zoned | None
    payload_bytes: int


class DeadLetterPage(Struct, frozen=True, rename="camel"):
    """Dead letters, newest first. `next` is an opaque cursor, null on the last page."""

    dead_letters: tuple[DeadLetterSummary, ...]
    next: str | None


class DeadLine(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A line within a dead letter: `StoredLine` without what only a stored line has."""

    id: str
    seq: int
    speaker: CaptionSpeaker
    text: str
    started_ms: int
    ended_ms: int
    language: str | None = None
    confidence: float | None = None
    interrupted: bool = False
    source: Source = "microphone"


class DeadBatch(Struct, frozen=True, rename="camel"):
    """A dead letter's `TranscriptBatch`, by names."""

    kind: str
    meeting_id: str
    room_sid: str
    producer_id: UUID
    first_seq: int
    last_seq: int
    high_water: int
    lines: tuple[DeadLine, ...]


class DeadLetterContent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A dead letter and what it holds: `batch` where it can be read, else `payload`, the bytes in base64."""

    dead_letter: DeadLetterSummary
    batch: DeadBatch | None = None
    payload: str | None = None


class RedriveRequest(Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Which dead letters to store again. What is absent doesn't matter; an empty request means all.

    A field that isn't known is refused: a misspelt filter must not mean every letter.

    Attributes:
        died_from, died_before: When they died; the second instant is not included.
        discard_conflicts: Remove letters whose line's id is taken by another line, rather than let them stay.
        limit: Letters to look at, at most; `next` of the answer is the cursor to go on with.
    """

    reason: str | None = None
    meeting_id: str | None = None
    died_from: Zoned | None = None
    died_before: Zoned | None = None
    discard_conflicts: bool = False
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        if self.reason is not None:
            check_id(self.reason, "reason")
        if self.meeting_id is not None:
            check_id(self.meeting_id, "meetingId")


class Redriven(Struct, frozen=True, rename="camel"):
    """What a redrive came to.

    Attributes:
        redriven: Letters that are gone, since all they held is stored, or erased with its meeting.
        discarded: Letters that were removed unstored, as asked for.
        stayed: Letters that still can't be stored, or not wholly; each has its new reason.
        lines: Lines newly stored.
        next: Where to go on, null when no letter is left to look at.
    """

    redriven: int
    discarded: int
    stayed: int
    lines: int
    next: str | None
