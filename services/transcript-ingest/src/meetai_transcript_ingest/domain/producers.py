"""What is known of a producer (one agent job), and where its lines live.

Owns the rule that maps a producer to its partition; must not know how partitions are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Final
from uuid import UUID

from msgspec import Struct

from meetai_contracts.identifiers import MAX_UNIX_MS
from meetai_transcript_ingest.domain.errors import RefusedError

UNDATED: Final = date(1970, 1, 1)
"""The day of a producer whose id tells no time; no partition is made for it, so its lines go to the default one."""

_DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = UNDATED.toordinal()
_number: Final = attrgetter("int")
"""UUIDs compare by this as well, a call at a time."""


class Declaration(Struct, frozen=True):
    """What one batch, or several merged, say of their producer.

    Attributes:
        declared: The highest `seq` that it had given.
        opened, closed: Whether it said that it started, and that it ended.
        gaps: Ranges `(first, last)` that it named as lost.
    """

    producer_id: UUID
    meeting_id: str
    room_sid: str
    declared: int
    opened: bool = False
    closed: bool = False
    gaps: tuple[tuple[int, int], ...] = ()


@lru_cache(maxsize=4096)  # a producer talks for an hour, and its day is asked several times a write
def producer_day(producer_id: UUID) -> date:
    """The UTC day on which a producer started: the timestamp in its UUIDv7 (RFC 9562, section 5.7), else `UNDATED`."""
    ms = started_ms(producer_id)
    return UNDATED if ms is None else date.fromordinal(_EPOCH_ORDINAL + ms // _DAY_MS)


def started_ms(producer_id: UUID) -> int | None:
    """When a producer started by its own clock, Unix milliseconds; None where its id doesn't tell."""
    ms = producer_id.int >> 80
    return None if producer_id.version != 7 or ms > MAX_UNIX_MS else ms


def merge(declarations: Iterable[Declaration]) -> list[Declaration]:
    """One declaration a producer, in the order of their ids, so that two writers lock rows in the same order.

    Raises:
        RefusedError: one producer in two meetings.
    """
    merged: dict[UUID, Declaration] = {}
    for new in declarations:
        known = merged.get(new.producer_id)
        merged[new.producer_id] = new if known is None else _combine(known, new)
    return [merged[producer_id] for producer_id in sorted(merged, key=_number)]


def _combine(known: Declaration, new: Declaration) -> Declaration:
    if known.meeting_id != new.meeting_id:
        raise RefusedError("a producer belongs to another meeting")
    return Declaration(
        producer_id=known.producer_id,
        meeting_id=known.meeting_id,
        room_sid=known.room_sid,
        declared=max(known.declared, new.declared),
        opened=known.opened or new.opened,
        closed=known.closed or new.closed,
        gaps=known.gaps + new.gaps,
    )
