"""The order in which a meeting's lines were committed, which is what a reader follows while the meeting goes on.

A line's position is a number from 1 within its meeting. Whoever sees a position has seen, or can read, every lower one; some
numbers are never used. A wake-up names meetings by a short hash, so that hundreds fit into one notification: two meetings of
the same hash wake each other for nothing, and that is all.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_transcript_ingest.domain.parcels import Parcel

MAX_POSITION: Final = 2**63 - 1
"""A bigint; JavaScript reads it as the text that an event's id is."""
MAX_WAKE_BYTES: Final = 7_900
"""PostgreSQL takes payloads of fewer than 8,000 bytes (manual, "NOTIFY")."""
EVERYONE: Final = ""


class Version(Struct, frozen=True):
    """Another one whenever a meeting's lines are others.

    Attributes:
        position: The last that was given; 0 for an unknown meeting. Grows with lines that come, and with an erasure.
        producers: Another number when others are known: some are gone once lines have expired.
    """

    position: int
    producers: int


class PlacedLine(Struct, frozen=True):
    """A line and its position."""

    position: int
    line: StoredLine


def lines_by_meeting(parcels: Iterable[Parcel], others: Iterable[str] = ()) -> dict[str, int]:
    """How many lines each meeting gets, 0 included, and 0 for `others`.

    By meeting id in the order of code points, which UTF-8 has as well: every writer locks meetings in this order.
    """
    counts = dict.fromkeys(others, 0)
    for parcel in parcels:
        meeting_id = parcel.declaration.meeting_id
        counts[meeting_id] = counts.get(meeting_id, 0) + len(parcel.lines)
    return dict(sorted(counts.items()))


def first_positions(before: Mapping[str, int], parcels: Iterable[Parcel]) -> list[int]:
    """The position of each parcel's first line, in the parcels' order, where each meeting had come to `before`."""
    came_to = dict(before)
    given: list[int] = []
    for parcel in parcels:
        meeting_id = parcel.declaration.meeting_id
        position = came_to[meeting_id]
        given.append(position + 1)
        came_to[meeting_id] = position + len(parcel.lines)
    return given


def wake_key(meeting_id: str) -> str:
    """What a wake-up calls a meeting."""
    return f"{zlib.crc32(meeting_id.encode()):08x}"


def wake_for(meeting_ids: Collection[str]) -> str:
    """The wake-up for these meetings; for everyone, if they are too many to name."""
    payload = ",".join([wake_key(meeting_id) for meeting_id in meeting_ids])
    return payload if len(payload) <= MAX_WAKE_BYTES else EVERYONE


def woken_by(payload: str) -> frozenset[str] | None:
    """The keys that a wake-up names; None for everyone."""
    return None if payload == EVERYONE else frozenset(payload.split(","))
