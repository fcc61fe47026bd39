"""Answers by rules, without a language model: what the keyless default `local/rules` can do, and what it says of itself.

English only. Owns the rules and their wording; the calendar's own rules are in `calendar_request`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from meetai_agent.domain.addressing import names_in
from meetai_agent.domain.briefing import Briefing, Question, Remark
from meetai_agent.domain.calendar_request import PROPOSE_TOOL, ToolRequest, proposal_in

SUMMED_UP: Final = 5
"""Remarks in a summing-up: more can't be listened to."""
MAX_QUOTED_CHARACTERS: Final = 240

ABILITIES: Final = (
    "I can tell the time, say who is here, repeat what somebody said, sum up what was said last, and propose a meeting."
)

_TIME: Final = re.compile(r"\bwhat(?:'s| is)? (?:the )?time|\btime is it\b|\bhow late\b", re.IGNORECASE)
_DATE: Final = re.compile(r"\bwhat(?:'s| is)? (?:the )?(?:day|date)\b|\b(?:day|date) is it\b", re.IGNORECASE)
_PEOPLE: Final = re.compile(
    r"\bwho(?:'s| is| are|) (?:all )?(?:here|there|present|in the (?:room|meeting|call))\b", re.IGNORECASE
)
_SUM_UP: Final = re.compile(
    r"\bsum(?:s|med)? (?:it |this |that |things )?up\b|\bsummar|\brecap\b|\bwhat was said\b", re.IGNORECASE
)
_REPEAT: Final = re.compile(
    r"\brepeat\b|\bsay (?:that|it) again\b|\bwhat did .{1,80} (?:say|said)\b|\blast thing\b", re.IGNORECASE
)
_SELF: Final = re.compile(
    r"\bwho are you\b|\bwhat (?:are you|can you do)\b|\bhelp\b|\bintroduce yourself\b", re.IGNORECASE
)
_THANKS: Final = re.compile(r"\bthank", re.IGNORECASE)
_GREETING: Final = re.compile(r"\b(?:hello|hi|hey|good (?:morning|afternoon|evening))\b", re.IGNORECASE)


def answer_by_rules(briefing: Briefing, tools: Collection[str]) -> str | ToolRequest:
    """What to say to the question that the briefing holds, or which of the `tools` (their names) to call."""
    question = briefing.question
    if question is None:
        return "There is nothing that I was asked."
    if PROPOSE_TOOL in tools:
        proposed = proposal_in(question, now=_now(briefing))
        if proposed is not None:
            return proposed
    text = question.text
    for pattern, answer in (
        (_TIME, _time),
        (_DATE, _date),
        (_PEOPLE, _people),
        (_SUM_UP, _summing_up),
        (_REPEAT, _repeat),
        (_SELF, _self),
        (_THANKS, lambda _briefing, question: f"You're welcome, {question.asker}."),
        (_GREETING, lambda _briefing, question: f"Hello, {question.asker}."),
    ):
        if pattern.search(text):
            return answer(briefing, question)
    return f"I answer by fixed rules, not by a language model, and have none for that. {ABILITIES}"


def _time(briefing: Briefing, _question: Question) -> str:
    return f"It is {_now(briefing):%H:%M} Coordinated Universal Time."


def _date(briefing: Briefing, _question: Question) -> str:
    now = _now(briefing)
    return f"It is {now:%A}, {now.day} {now:%B} {now.year}."


def _people(briefing: Briefing, _question: Question) -> str:
    return (
        f"{_listed(briefing.people)} {'is' if len(briefing.people) == 1 else 'are'} here."
        if briefing.people
        else "I see nobody."
    )


def _summing_up(briefing: Briefing, question: Question) -> str:
    remarks = _before(briefing, question)[-SUMMED_UP:]
    if not remarks:
        return "Nothing has been said yet."
    return "I can only repeat what was said last. " + " ".join(_quoted(remark) for remark in remarks)


def _repeat(briefing: Briefing, question: Question) -> str:
    remarks = _before(briefing, question)
    asked = names_in(question.text, {remark.speaker for remark in remarks if remark.kind == "human"})
    if asked:
        remarks = [remark for remark in remarks if remark.speaker in asked]
    elif re.search(r"\byou\b|\bagain\b", question.text, re.IGNORECASE):
        remarks = [remark for remark in remarks if remark.kind == "agent"] or remarks
    return _quoted(remarks[-1]) if remarks else "Nothing has been said yet."


def _self(briefing: Briefing, _question: Question) -> str:
    return f"I am {briefing.agent.name}. I answer by fixed rules, not by a language model. {ABILITIES}"


def _before(briefing: Briefing, question: Question) -> list[Remark]:
    """What people and the agent said, without the question itself."""
    remarks = list(briefing.remarks)
    if remarks and remarks[-1].kind == "human" and remarks[-1].text.strip() == question.text.strip():
        remarks.pop()
    return remarks


def _quoted(remark: Remark) -> str:
    text = remark.text.strip()[:MAX_QUOTED_CHARACTERS]
    return f"{remark.speaker} said: {text}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _now(briefing: Briefing) -> datetime:
    return datetime.fromtimestamp(briefing.now_ms / 1000, UTC)
