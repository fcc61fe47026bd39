"""Which summary is kept: one that is made of lines that the meeting still has. And how two of them are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from uuid import UUID

import msgspec

from meetai_contracts.summary import MeetingSummary, StoredSummary
from meetai_transcript_ingest.domain.erasing import Tombstone
from meetai_transcript_ingest.domain.errors import ChangedError, ErasedError, OtherProducersError
from meetai_transcript_ingest.domain.producers import UNDATED


def oldest_day(summary: MeetingSummary, known: Mapping[UUID, date], tombstone: Tombstone | None) -> date | None:
    """The first day that a summary is made of; None where its producers tell none.

    Args:
        summary: What is to be stored.
        known: The meeting's producers among those that it names, with their days; where it names none, all.
        tombstone: Of the meeting, if it was erased.

    Raises:
        ErasedError: a producer of it is erased; or it names none, and nobody can say that it is of what came later.
        OtherProducersError: it names producers that the meeting doesn't have, or not any more; or none, and the meeting has some:
            who found no transcript must not write over who did.
    """
    if tombstone is not None and any(tombstone.covers(producer_id) for producer_id in summary.producer_ids or (None,)):
        raise ErasedError("erased on request")
    if known and not summary.producer_ids:
        raise OtherProducersError("is empty, and this meeting has producers")
    unknown = len(set(summary.producer_ids) - known.keys())
    if unknown:
        raise OtherProducersError(f"{unknown} of them are not this meeting's, or not any more")
    return min((day for day in known.values() if day != UNDATED), default=None)


def says(stored: StoredSummary, summary: MeetingSummary) -> bool:
    """Whether this is what is stored already."""
    return msgspec.convert(stored, MeetingSummary, from_attributes=True) == summary


def tag_of(stored: StoredSummary) -> str:
    """A strong entity tag (RFC 9110, section 8.8.3): the digest of all that is answered."""
    return f'"{hashlib.sha256(msgspec.json.encode(stored)).hexdigest()[:32]}"'


def check_match(stored: StoredSummary | None, *, if_match: str | None, if_none_match: str | None) -> None:
    """Hold a summary against what a writer says it replaces, or doesn't; without that, anything will do.

    RFC 9110, sections 13.1.1 and 13.1.2.

    Raises:
        ChangedError: it is another, or there is none; or there is one that is not to be replaced.
    """
    if if_match is not None and not _is_named(stored, if_match):
        raise ChangedError("another summary is stored, or none")
    if if_none_match is not None and _is_named(stored, if_none_match, weakly=True):
        raise ChangedError("a summary is stored that is not to be replaced")


def _is_named(stored: StoredSummary | None, tags: str, *, weakly: bool = False) -> bool:
    named = {tag.strip().removeprefix("W/" if weakly else "") for tag in tags.split(",")}
    return stored is not None and bool(named & {"*", tag_of(stored)})
