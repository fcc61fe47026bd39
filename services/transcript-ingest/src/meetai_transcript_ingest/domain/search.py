"""What is searched for, and how a hit is shown: queries, filters, snippets.

A query is words, "phrases", `-` before either to exclude it, and OR between alternatives. A word with punctuation inside
(an address, `TCP/IP`) is the phrase of its parts. Punctuation is space, and scripts that put no spaces between words are
read character by character: the rules of `searchable` in migration 0006, kept here for the query and for the marks.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from meetai_contracts.identifiers import MAX_UNIX_MS
from meetai_contracts.transcript import Source, SpeakerKind
from meetai_transcript_ingest.domain.errors import BadQueryError
from meetai_transcript_ingest.domain.paging import Position

MAX_QUERY_CHARACTERS: Final = 256
MAX_HITS: Final = 100
DEFAULT_HITS: Final = 20
SNIPPET_CHARACTERS: Final = 240
"""Of the line's text, before escaping: about three lines on a screen."""
LEAD_CHARACTERS: Final = 60
"""Of these, at most so many before the first match."""
MARK_START: Final = "\ue000"
MARK_STOP: Final = "\ue001"
"""Where the store says that a match begins and ends; private use, which is space in what is searched."""

_SPACE: Final = re.compile(
    "[\u0001-/:-@\\[-`{-\u00a1\u00ab\u00b7\u00bb\u00bf\u05be\u060c\u061b-\u061f\u0964\u0965\u2000-\u206f\u3000-\u3004\u3007-\u3020\u30fb\ue000-\uf8ff\uff00-\uff0f\uff1a-\uff20]"
)
_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff])"
)
_QUOTES: Final = re.compile("[\u00ab\u00bb\u201c-\u201f\uff02]")
_TERM: Final = re.compile(r'(-*)(?:"([^"]*)"?|([^\s"]+))')
_EMBEDDING_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINING: Final = ("Mn", "Mc", "Me", "Cf", "Sk")


class SearchFilter(Struct, frozen=True):
    """Which lines are looked through.

    Attributes:
        meeting_id: Of this meeting alone.
        language: A language range (RFC 4647, section 3.3.1): `en` stands for `en-GB` as well; lower case.
        speaker: The identity of who said it.
        from_ms, to_ms: Begun at that Unix millisecond or later; before that one.
    """

    meeting_id: str | None = None
    language: str | None = None
    speaker: str | None = None
    from_ms: int = 0
    to_ms: int = MAX_UNIX_MS + 1


class Found(Struct, frozen=True):
    """A line that matches. `marked` is its text as it is searched, with the marks round every match."""

    place: Position
    meeting_id: str
    identity: str
    name: str
    kind: SpeakerKind
    text: str
    marked: str
    ended_ms: int
    language: str | None
    source: Source = "microphone"


class Findings(Struct, frozen=True):
    """A page of matches.

    Attributes:
        found: The newest first.
        last: The place to go on from; None where there is nothing more.
        indexed_through: What was committed before has been looked through.
    """

    found: tuple[Found, ...]
    last: Position | None
    indexed_through: datetime


class IndexBacklog(Struct, frozen=True):
    """What is stored and not indexed: how many lines at most, and how long the oldest has waited."""

    lines: int
    oldest_seconds: float


def parse_query(raw: str) -> str:
    """A query as PostgreSQL's `websearch_to_tsquery` reads it, every term in quotation marks.

    Raises:
        BadQueryError: says what is wrong with it.
    """
    if len(raw) > MAX_QUERY_CHARACTERS:
        raise BadQueryError(f"must be at most {MAX_QUERY_CHARACTERS} characters")
    if "\0" in raw or any(unicodedata.category(character) == "Cs" for character in raw):
        raise BadQueryError("must not hold NUL or lone surrogates")
    alternatives: list[list[str]] = [[]]
    for term in _terms(_QUOTES.sub('"', unicodedata.normalize("NFC", raw))):
        if term is None:
            alternatives.append([])
        else:
            alternatives[-1].append(term)
    wanted = [terms for terms in alternatives if terms]
    if not wanted:
        raise BadQueryError("must hold a word to look for")
    if any(all(term.startswith("-") for term in terms) for terms in wanted):
        raise BadQueryError("must hold a word to look for beside those that it excludes")
    return " or ".join(" ".join(terms) for terms in wanted)


def snippet(text: str, marked: str) -> str:
    """The part of a line that shows the first match: HTML whose only markup is `<mark>`, everything else escaped.

    `…` stands where something is left out. Without marks, should the store have read the text otherwise than this does.
    """
    shown = unicodedata.normalize("NFC", text)
    matches = _matches(shown, marked)
    start, stop = _window(shown, matches[0][0] if matches else 0)
    pieces = ["…"] if start else []
    at = start
    for first, last in matches:
        if last <= start or first >= stop:
            continue
        pieces += [
            _escaped(shown[at : max(first, start)]),
            "<mark>",
            _escaped(shown[max(first, start) : min(last, stop)]),
        ]
        pieces.append("</mark>")
        at = min(last, stop)
    pieces.append(_escaped(shown[at:stop]))
    if stop < len(shown):
        pieces.append("…")
    return "".join(pieces)


def _terms(raw: str) -> Iterator[str | None]:
    """Each term in quotation marks, `-` before it if it is excluded; None for OR."""
    for excluded, phrase, word in _TERM.findall(raw):
        if not excluded and word.casefold() == "or":
            yield None
        elif words := " ".join(_searchable(phrase or word).split()):
            yield f'-"{words}"' if excluded else f'"{words}"'


def _searchable(text: str) -> str:
    return _UNSPACED.sub(r" \1 ", _SPACE.sub(" ", text))


def _matches(shown: str, marked: str) -> list[tuple[int, int]]:
    """Where the matches are in the text as shown; what touches is one."""
    if marked.replace(MARK_START, "").replace(MARK_STOP, "") != _searchable(shown):
        return []
    matches: list[tuple[int, int]] = []
    places = _places(shown)
    at = begun = 0
    for piece in re.split(f"([{MARK_START}{MARK_STOP}])", marked):
        if piece == MARK_START:
            begun = places[at]
        elif piece == MARK_STOP:
            end = places[at - 1] + 1
            if matches and matches[-1][1] == begun:
                begun = matches.pop()[0]
            matches.append((begun, end))
        else:
            at += len(piece)
    return matches


def _places(shown: str) -> list[int]:
    """For every character as searched: which of those shown it stands for; one more for the end."""
    places: list[int] = []
    for place, character in enumerate(shown):
        places += [place] * (3 if _UNSPACED.match(character) and not _SPACE.match(character) else 1)
    return [*places, len(shown)]


def _window(shown: str, first: int) -> tuple[int, int]:
    """Which part to show, cut between words where these aren't too long, and never within a character as people see it."""
    start = _cut(shown, max(0, min(first - LEAD_CHARACTERS, len(shown) - SNIPPET_CHARACTERS)), first)
    stop = start + SNIPPET_CHARACTERS
    if stop >= len(shown):
        return start, len(shown)
    space = shown.rfind(" ", max(stop - LEAD_CHARACTERS, first + 1), stop)
    return start, space if space > start else _whole(shown, stop)


def _cut(shown: str, at: int, limit: int) -> int:
    if at == 0:
        return 0
    space = shown.find(" ", at - 1, limit)
    return space + 1 if space >= 0 else _whole(shown, at)


def _whole(shown: str, at: int) -> int:
    """The next place at or after this one that isn't between a character and what joins it (emoji, marks)."""
    while at < len(shown) and (unicodedata.category(shown[at]) in _JOINING or shown[at - 1] == "\u200d"):
        at += 1
    return at


def _escaped(text: str) -> str:
    """Without the controls that, cut from their ends, would turn round what stands beside the snippet (UAX 9)."""
    return html.escape(_EMBEDDING_CONTROLS.sub("", text))
