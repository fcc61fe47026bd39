"""What is known of a producer (one agent job), and where its lines live.

Owns the rule that maps a producer to its partition; must not know how partitions are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final
from uuid import UUID

from msgspec import Struct

from meetai_contracts.identifiers import MAX_UNIX_MS
from meetai_transcript_ingest.domain.errors import RefusedError

UNDATED: Final = date(1970, 1, 1)
"""The day of a producer whose id tells no time; no partition is made for it, so its lines go to the default one."""

_DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = UNDATED.toordinal()
_KEPT: Final = 4096
"""Producers whose day and id are kept at hand: each talks for an hour, and every entry asks."""


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


@lru_cache(maxsize=_KEPT)
def producer_of(wire_id: bytes) -> UUID:
    """A producer's id out of its 16 bytes on the wire."""
    return UUID(bytes=wire_id)


def producer_day(producer_id: UUID) -> date:
    """The UTC day on which a producer started: the timestamp in its UUIDv7 (RFC 9562, section 5.7), else `UNDATED`."""
    return _day(producer_id.int)


def started_ms(producer_id: UUID) -> int | None:
    """When a producer started by its own clock, Unix milliseconds; None where its id doesn't tell."""
    ms = producer_id.int >> 80
    return None if producer_id.version != 7 or ms > MAX_UNIX_MS else ms


@lru_cache(maxsize=_KEPT)  # by number: UUID hashes and compares in Python, a call each
def _day(number: int) -> date:
    ms = started_ms(UUID(int=number))
    return UNDATED if ms is None else date.fromordinal(_EPOCH_ORDINAL + ms // _DAY_MS)


def merge(declarations: Iterable[Declaration]) -> list[Declaration]:
    """One declaration a producer, in the order of their ids, so that two writers lock rows in the same order.

    Raises:
        RefusedError: one producer in two meetings.
    """
    merged: dict[int, Declaration] = {}
    for new in declarations:
        number = new.producer_id.int
        known = merged.get(number)
        merged[number] = new if known is None else _combine(known, new)
    return [merged[number] for number in sorted(merged)]


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
