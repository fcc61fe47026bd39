"""A summary without a model: sentences that were said, chosen by a few fixed rules for English. The same in, the same out.

Owns the choice. It is what there is without a key, and what is fallen back on; it doesn't understand anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from meetai_contracts.summary import ActionItem, MeetingSummary, SummaryNote
from meetai_post_meeting.turns import Turn, people

WRITTEN_BY: Final = "extractive"
NOTE_MS: Final = 5 * 60_000
"""One note for each five minutes, or for each 24th of a meeting that is longer than that."""
# All of it together fits the contract's 128 KiB, at 4 bytes a character (a test fills every one).
MAX_NOTES: Final = 24
MAX_ITEMS: Final = 30
MAX_CHARACTERS: Final = 240
"""Of one sentence that is quoted."""
MAX_NAME_CHARACTERS: Final = 48
MAX_NAMED: Final = 12
"""People whom the overview names; the others are counted."""
KEY_SENTENCES: Final = 3

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。！？])\s+")  # noqa: RUF001 - sentences end with these as well
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_DECIDED: Final = re.compile(
    r"\b(we( have|'ve)? (decided|agreed|settled)|let's (go with|do|use|take|keep|meet)|(it|that) is (decided|settled)|agreed\b|"
    r"the decision is|we('ll| will| are going to| shall) (go|use|take|keep|ship|launch|open|close|meet|move|start|stop|cancel|postpone)\b)",
    re.IGNORECASE,
)
_PROMISED: Final = re.compile(
    r"\b(i('ll| will| am going to|'m going to)|let me) (?!be\b|think\b|see\b)\w+", re.IGNORECASE
)
_ASKED: Final = re.compile(r"\b(can|could|would|will) you (please )?\w+|\bplease \w+|\baction item\b", re.IGNORECASE)


class _Sentence(Struct, frozen=True):
    turn: Turn
    text: str


def summarise(turns: Sequence[Turn], producer_ids: Sequence[UUID]) -> MeetingSummary:
    """Choose from what was said; never fails, whatever that is."""
    sentences = list(_sentences(turns))
    said = [sentence for sentence in sentences if sentence.turn.kind == "human"]
    return MeetingSummary(
        overview=_overview(turns, said),
        written_by=WRITTEN_BY,
        producer_ids=tuple(producer_ids),
        decisions=tuple(dict.fromkeys(_shown(s.text) for s in said if _DECIDED.search(s.text)))[:MAX_ITEMS],
        action_items=_action_items(said, people(turns)),
        notes=_notes(sentences),
    )


def _overview(turns: Sequence[Turn], said: Sequence[_Sentence]) -> str:
    names = people(turns)
    if not said:
        return "Nobody said a word that was recognised."
    minutes = max(1, round((max(turn.ended_ms for turn in turns) - turns[0].started_ms) / 60_000))
    shown = ", ".join(_shown(name, MAX_NAME_CHARACTERS) for name in names[:MAX_NAMED])
    others = f" and {len(names) - MAX_NAMED} others" if len(names) > MAX_NAMED else ""
    first = f"{shown}{others} talked for {minutes} minute{'' if minutes == 1 else 's'}."
    return " ".join([first, *(_shown(sentence.text) for sentence in _telling(said, KEY_SENTENCES))])


def _action_items(said: Sequence[_Sentence], names: Sequence[str]) -> tuple[ActionItem, ...]:
    items: dict[tuple[str, str | None], ActionItem] = {}
    for sentence in said:
        if _PROMISED.search(sentence.text):
            owner: str | None = sentence.turn.speaker
        elif _ASKED.search(sentence.text):
            owner = _addressed(sentence.text, names)
        else:
            continue
        text = _shown(sentence.text)
        items.setdefault(
            (text, owner), ActionItem(text, owner=None if owner is None else _shown(owner, MAX_NAME_CHARACTERS))
        )
    return tuple(items.values())[:MAX_ITEMS]


def _addressed(text: str, names: Sequence[str]) -> str | None:
    """The one person whose name the sentence holds; None for nobody, or more than one."""
    found = [name for name in names if name and re.search(rf"\b{re.escape(name.split()[0])}\b", text, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def _notes(sentences: Sequence[_Sentence]) -> tuple[SummaryNote, ...]:
    if not sentences:
        return ()
    start = sentences[0].turn.started_ms
    span = max(NOTE_MS, -(-(max(s.turn.started_ms for s in sentences) - start + 1) // MAX_NOTES))
    parts: dict[int, list[_Sentence]] = {}
    for sentence in sentences:
        parts.setdefault(max(0, sentence.turn.started_ms - start) // span, []).append(sentence)
    return tuple(
        SummaryNote(
            text=" ".join(
                f"{_shown(s.turn.speaker, MAX_NAME_CHARACTERS)}: {_shown(s.text, 150)}" for s in _telling(part, 2)
            ),
            started_ms=min(sentence.turn.started_ms for sentence in part),
            ended_ms=max(sentence.turn.ended_ms for sentence in part),
        )
        for _, part in sorted(parts.items())
    )


def _telling(sentences: Sequence[_Sentence], count: int) -> list[_Sentence]:
    """The sentences with the words that are said most often elsewhere, in the order in which they were said."""
    often = Counter(word.lower() for sentence in sentences for word in set(_WORD.findall(sentence.text)))
    scores = [sum(often[word.lower()] for word in set(_WORD.findall(s.text))) for s in sentences]
    best = sorted(range(len(sentences)), key=lambda at: (-scores[at], at))[:count]
    return [sentences[at] for at in sorted(best)]


def _sentences(turns: Sequence[Turn]) -> Iterator[_Sentence]:
    for turn in turns:
        for text in _SENTENCE_END.split(turn.text):
            if text.strip():
                yield _Sentence(turn, text.strip())


def _shown(text: str, characters: int = MAX_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"
