"""What was said, as a person is shown it: whole lines, without control characters, in an order that nothing turns round.

The store and the JSON export keep text byte for byte; this is for files in which a line break or a control character would
mean something else. Must not know any format's own markup.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Final

from meetai_contracts.api import StoredLine
from meetai_contracts.identifiers import BIDI_CONTROLS

NAMELESS: Final = "Unknown speaker"
SCREEN_SHARE: Final = " (screen share)"

_FIRST_STRONG_ISOLATE: Final = "\u2068"
_POP_DIRECTIONAL_ISOLATE: Final = "\u2069"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BIDI_CONTROL: Final = re.compile(f"[{''.join(sorted(BIDI_CONTROLS))}]")
_TURNS: Final = re.compile(
    f"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff{''.join(sorted(BIDI_CONTROLS))}]"
)
"""The blocks of right-to-left scripts, as Unicode sets them aside (DerivedBidiClass.txt, the defaults R and AL)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def text_lines(text: str) -> list[str]:
    """The lines of a text, broken wherever any reader of the file would break them; none is blank."""
    if text.isprintable():  # nearly all are, and then there is neither a control character nor a line break
        return [shown] if (shown := text.strip()) else []
    return [shown for line in text.splitlines() if (shown := _CONTROL.sub(" ", line).strip())]


def speaker_name(line: StoredLine) -> str:
    """Who said it, on one line: the name, else the identity; marked where it was the sound of their screen.

    Bidi controls in a name only serve to deceive, and are left out.
    """
    mark = SCREEN_SHARE if line.source == "screen_share" else ""
    for name in (line.speaker.name, line.speaker.identity):
        shown = " ".join(text_lines(_BIDI_CONTROL.sub("", name)))
        if _can_be_seen(shown):
            return shown + mark
    return NAMELESS + mark


def _can_be_seen(name: str) -> bool:
    """Not made of spaces and invisible format characters alone."""
    return (bool(name) and name.isascii()) or any(
        not character.isspace() and unicodedata.category(character) != "Cf" for character in name
    )


def isolated(text: str) -> str:
    """Text that doesn't turn round what stands beside it on the line (Unicode Bidi, UAX 9, section 6.1: FSI … PDI)."""
    if text.isascii() or not _TURNS.search(text):
        return text
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_DIRECTIONAL_ISOLATE}"


def wall_clock(unix_ms: int) -> datetime:
    """An instant as UTC; exact up to the year 9999, where floating point isn't."""
    return _EPOCH + timedelta(milliseconds=unix_ms)
