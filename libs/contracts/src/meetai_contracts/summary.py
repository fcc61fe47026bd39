"""What a meeting came to: `PUT` and `GET /v1/meetings/{id}/summary` of transcript-ingest, camelCase.

Owns its shape and limits. Must not know who writes a summary, or by what.
"""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from meetai_contracts.approval import Zoned
from meetai_contracts.identifiers import UnixMs

MAX_SUMMARY_BYTES: Final = 128 * 1024
"""Of a request's body. An hour's talk is some 60 KiB of text; what is longer than that is no summary of it."""
MAX_OVERVIEW_BYTES: Final = 16 * 1024
MAX_ITEM_BYTES: Final = 4 * 1024
"""One decision, action item or note."""
MAX_OWNER_BYTES: Final = 1024
"""As a speaker's name."""
MAX_ITEMS: Final = 200
"""Of each kind."""
MAX_SUMMARY_PRODUCERS: Final = 1_000
"""An agent's job each; more than one is a meeting that went on under a new agent, or an id that was used again."""


class ActionItem(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Something that somebody is to do.

    Attributes:
        text: What.
        owner: Who, by the name that people in the meeting go by; absent where nobody took it.
    """

    text: str
    owner: str | None = None

    def __post_init__(self) -> None:
        check_prose(self.text, "text", MAX_ITEM_BYTES)
        if self.owner is not None:
            check_prose(self.owner, "owner", MAX_OWNER_BYTES)


class SummaryNote(Struct, frozen=True, rename="camel"):
    """What was said in a part of the meeting.

    Attributes:
        started_ms, ended_ms: Which part, Unix milliseconds, as in the transcript's lines.
    """

    text: str
    started_ms: UnixMs
    ended_ms: UnixMs

    def __post_init__(self) -> None:
        check_prose(self.text, "text", MAX_ITEM_BYTES)
        if self.ended_ms < self.started_ms:
            raise ValueError("endedMs must not be before startedMs")


class MeetingSummary(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A summary as its writer sends it.

    Attributes:
        overview: The meeting in a few sentences.
        written_by: What wrote it, e.g. `extractive` or `openai/gpt-4.1-mini`.
        producer_ids: `producerId` of the lines that it was made of. The summary shares their fate: it is refused once they are
            erased, and dropped with the oldest of them. Empty for a meeting without a transcript.
    """

    overview: str
    written_by: str
    producer_ids: Annotated[tuple[UUID, ...], Meta(max_length=MAX_SUMMARY_PRODUCERS)]
    decisions: Annotated[tuple[str, ...], Meta(max_length=MAX_ITEMS)] = ()
    action_items: Annotated[tuple[ActionItem, ...], Meta(max_length=MAX_ITEMS)] = ()
    notes: Annotated[tuple[SummaryNote, ...], Meta(max_length=MAX_ITEMS)] = ()

    def __post_init__(self) -> None:
        check_prose(self.overview, "overview", MAX_OVERVIEW_BYTES)
        check_prose(self.written_by, "writtenBy", MAX_OWNER_BYTES)
        for decision in self.decisions:
            check_prose(decision, "decisions", MAX_ITEM_BYTES)


class StoredSummary(MeetingSummary, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A summary as the store gives it back; what only the store says is ignored in a `PUT`.

    Attributes:
        stored_at: When it last changed.
    """

    meeting_id: str
    stored_at: Zoned


def check_prose(text: str, name: str, max_bytes: int) -> str:
    """Accept text that people read: not blank, storable, of bounded size.

    Raises:
        ValueError: with `name` and the rule that was broken, never the text.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} must not hold lone surrogates") from None
    if size > max_bytes or not text.strip():
        raise ValueError(f"{name} must be 1 to {max_bytes} bytes of UTF-8, and not blank")
    if "\0" in text:
        raise ValueError(f"{name} must not hold NUL")
    return text
