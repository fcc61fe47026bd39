"""The order in which a transcript is read, and the cursor that marks a place in it.

The order is `started_ms`, `producer_id`, `seq`. A cursor promises: going on from it gives every line that is stored by then
and sorts after it, once. A line that is stored later but was spoken earlier than the place that a reader has reached (a
batch that waited out an outage) is not shown to that reader; reading again from the start shows it.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_contracts.identifiers import Seq, UnixMs
from meetai_transcript_ingest.domain.errors import BadCursorError

MAX_PAGE_LINES: Final = 1_000
DEFAULT_PAGE_LINES: Final = 200
MAX_CURSOR_CHARACTERS: Final = 128
"""The longest that `encode_cursor` makes is 50."""

LONGEST_TRANSACTION: Final = timedelta(seconds=30)
"""`committed_at` is when a line's transaction began. The writer gives one up after 12 s (adapters.postgres_store), and the server
a statement after 10 s (servicekit.postgres): what was begun longer ago than their sum can be seen, or never will be."""


class Position(Struct, frozen=True, array_like=True):
    """A place in a transcript: after the line with this key."""

    started_ms: UnixMs
    producer_id: UUID
    seq: Seq


class _Cursor(Struct, frozen=True, array_like=True):
    v: Literal[1]
    after: Position


_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER: Final = msgspec.msgpack.Decoder(_Cursor)


def surely_seen_before(updated_after: datetime) -> datetime:
    """The instant from which lines have to be given to whoever has read everything that could be seen at `updated_after`."""
    try:
        return updated_after - LONGEST_TRANSACTION
    except OverflowError:
        return updated_after


def place_of(line: StoredLine) -> Position:
    """The place after a line."""
    return Position(line.started_ms, line.producer_id, line.seq)


def encode_cursor(after: Position) -> str:
    """Mark a place. Opaque to clients: base64url of a versioned array."""
    return base64.urlsafe_b64encode(_ENCODER.encode(_Cursor(1, after))).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Position:
    """The place that a cursor marks.

    Raises:
        BadCursorError: this isn't one.
    """
    if len(cursor) > MAX_CURSOR_CHARACTERS:
        raise BadCursorError("is not a cursor of this API")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return _DECODER.decode(base64.b64decode(padded, altchars=b"-_", validate=True)).after
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError) as error:
        raise BadCursorError("is not a cursor of this API") from error
