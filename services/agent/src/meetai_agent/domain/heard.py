"""What a recogniser says it heard, before it is a line."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from meetai_contracts.identifiers import clean_text
from meetai_contracts.transcript import MAX_TEXT_BYTES

MAX_UTTERANCE_SECONDS: Final = 25.0
"""Longer speech without a pause is cut here. Whisper reads at most 30 s at a time (Radford et al. 2022, section 2.1)."""

Voice = Literal["noticed", "speaking", "paused"]
"""Of a participant: a sound like a voice, a cough perhaps; enough of it to be speech; over."""


class InterimWords(Struct, frozen=True):
    """Words that may still change.

    Attributes:
        segment: Joins it with its final.
        started_ms: Unix milliseconds.
        ended_ms: Likewise, where the recogniser says how far they reach.
    """

    segment: str
    text: str
    started_ms: int
    language: str | None = None
    ended_ms: int | None = None


class FinalWords(Struct, frozen=True):
    """Words that won't change: `started_ms` to `ended_ms`, Unix milliseconds."""

    segment: str
    text: str
    started_ms: int
    ended_ms: int
    language: str | None = None
    confidence: float | None = None


class Unrecognised(Struct, frozen=True):
    """Speech that no text could be had for: it is given a number and named lost, so that it isn't silent."""

    started_ms: int
    ended_ms: int


Heard = InterimWords | FinalWords | Unrecognised


class Spoken(Struct, frozen=True):
    """What the agent itself has said aloud: `started_ms` to `ended_ms`, Unix milliseconds of what was really played.

    Attributes:
        segment: Joins it with the interims that were captioned while it was being said.
        text: As far as it was played.
        interrupted: Somebody talked over it, or its voice failed: there would have been more.
    """

    segment: str
    text: str
    started_ms: int
    ended_ms: int
    language: str | None = None
    interrupted: bool = False


def storable_pieces(text: str) -> list[str]:
    """Free text as lines that the contract accepts: cleaned, trimmed, split at spaces where too long for one."""
    rest = clean_text(text).strip()
    pieces: list[str] = []
    while rest:
        piece = _longest_start(rest)
        pieces.append(piece.strip())
        rest = rest[len(piece) :].strip()
    return pieces


def _longest_start(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    start = encoded[:MAX_TEXT_BYTES].decode(errors="ignore")
    head, space, _ = start.rpartition(" ")
    return head if space and head.strip() else start
