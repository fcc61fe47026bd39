"""Which meeting ids, identities and names are accepted, and how free text is made storable.

Owns the rules of DESIGN, "Contracts". Must not change an id: what is not acceptable is refused, never repaired, because
an id that was repaired in one place is another id in the next.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta

MAX_ID_BYTES: Final = 256
"""LiveKit's limit for room names and identities (FACTS, LiveKit server)."""

BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's Bidi_Control property (UAX 9): characters that make text look like other text."""

SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that a JavaScript client reads exactly (RFC 8259, section 6)."""

MAX_UNIX_MS: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last instant that datetime and Postgres clients agree upon."""

UnixMs = Annotated[int, Meta(ge=0, le=MAX_UNIX_MS, description="Unix time in milliseconds.")]
Seq = Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="Position of a line within its producer, from 1.")]


def check_id(value: str, name: str) -> str:
    """Accept an id (meeting, user, room sid): 1-256 UTF-8 bytes of NFC text without control, format or bidi characters.

    Raises:
        ValueError: with `name` and the rule that was broken, never the value.
    """
    _check_text(value, name, forbidden_categories=("Cc", "Cf", "Cs"))
    return value


def check_name(value: str, name: str) -> str:
    """Accept a display name: as an id, but joiners are allowed, since names and emoji need them.

    Raises:
        ValueError: with `name` and the rule that was broken, never the value.
    """
    _check_text(value, name, forbidden_categories=("Cc", "Cs"))
    if not value.strip():
        raise ValueError(f"{name} must not be blank")
    return value


def clean_text(text: str) -> str:
    """Make free text storable: NUL and lone surrogates become U+FFFD. PostgreSQL refuses both."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def line_id(producer_id: UUID, seq: int) -> str:
    """The id of a line, the same on the live channel and in the store."""
    return f"{producer_id}:{seq}"


def _check_text(value: str, name: str, *, forbidden_categories: tuple[str, ...]) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} must not hold lone surrogates") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise ValueError(f"{name} must be 1 to {MAX_ID_BYTES} UTF-8 bytes, not {size}")
    if value.isascii() and value.isprintable():
        return
    if not unicodedata.is_normalized("NFC", value):
        raise ValueError(f"{name} must be in Unicode normalisation form C")
    for character in value:
        if unicodedata.category(character) in forbidden_categories or character in BIDI_CONTROLS:
            raise ValueError(f"{name} must not hold the control or format character U+{ord(character):04X}")
