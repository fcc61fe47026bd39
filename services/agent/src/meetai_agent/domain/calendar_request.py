"""A meeting proposed in plain English, read by rules: "propose a meeting tomorrow at ten, and ask Ben to approve it".

Owns what is understood of a title, a day, a time, a length and names. Times are UTC: rules know no one's time zone.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from meetai_agent.domain.briefing import Question

PROPOSE_TOOL: Final = "propose_calendar_event"
DEFAULT_LENGTH: Final = timedelta(minutes=30)
MAX_REQUEST_CHARACTERS: Final = 500
"""Of a longer text the rest isn't looked at. Nobody asks for a meeting in so many words, and the rules below may look at each of them
from each of the others."""

_ASKED: Final = re.compile(
    r"\b(?:propose|schedule|set up|plan|book|suggest)\b.{0,40}?\b(?:meeting|call|event|appointment)\b", re.IGNORECASE
)
_END: Final = r"(?=\s+(?:today|tomorrow|on|at|with|for|next|this|from)\b|[,.;?!]|$)"
_TITLE: Final = re.compile(rf"\b(?:called|named|titled|about)\s+[\"“']?(.{{1,200}}?)[\"”']?{_END}", re.IGNORECASE)
_WITH: Final = re.compile(
    r"\bwith\s+(.{1,200}?)(?=\s+(?:today|tomorrow|on|at|for|next|called|named|about)\b|[.;?!]|$)", re.IGNORECASE
)
_APPROVER: Final = re.compile(
    r",?\s*(?:\band\s+)?(?:please\s+)?\b(?:(?:ask|have|let)\s+(?P<asked>\S.{0,100}?)\s+(?:to\s+)?(?:approve|confirm)\b(?:\s+it\b)?"
    r"|(?:approved|confirmed)\s+by\s+(?P<by>\S.{0,100}?)(?=[,.;?!]|$))",
    re.IGNORECASE,
)
_FOR: Final = re.compile(r"\bfor\s+(an?|one|two|three|half an|\d{1,3})\s*(minutes?|hours?)\b", re.IGNORECASE)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY: Final = re.compile(rf"\b(today|tomorrow|{'|'.join(_DAYS)})\b", re.IGNORECASE)
_HOURS: Final = {
    word: hour
    for hour, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=1
    )
} | {"noon": 12, "midnight": 0}
_MINUTES: Final = {"": 0, "fifteen": 15, "thirty": 30, "forty-five": 45, "forty five": 45, "o'clock": 0}
_AT: Final = re.compile(
    rf"\bat\s+(half past\s+)?(\d{{1,2}}|{'|'.join(_HOURS)})(?:[:.h]?(\d{{2}})\b|\s+(fifteen|thirty|forty[- ]five|o'clock)\b)?"
    r"(?:\s*(a\.?m|p\.?m)\b)?",
    re.IGNORECASE,
)


class ToolRequest(Struct, frozen=True):
    """A tool to call, and with what."""

    name: str
    arguments: dict[str, Any]


def proposal_in(question: Question, *, now: datetime) -> str | ToolRequest | None:
    """The proposal that a request holds, what is missing from it in words, or None where it isn't one. `now` is aware.

    The approver is whoever asks, unless somebody else is named: "and ask Ben to approve it".
    """
    asked = " ".join(question.text.split())[:MAX_REQUEST_CHARACTERS]
    if not _ASKED.search(asked):
        return None
    named = _APPROVER.search(asked)
    text = _APPROVER.sub("", asked)
    at = _time_in(text)
    if at is None:
        return "At what time? Please ask again with a time, such as tomorrow at ten."
    start = _day_in(text, now, at)
    title = _TITLE.search(text)
    people = _WITH.search(text)
    attendees = [name.strip() for name in re.split(r",|\band\b", people[1])] if people else []
    return ToolRequest(
        PROPOSE_TOOL,
        {
            "approver": (named["asked"] or named["by"]) if named else question.identity,
            "title": title[1].strip().capitalize() if title else "Meeting",
            "start": start.isoformat(),
            "end": (start + _length_in(text)).isoformat(),
            "time_zone": "UTC",
            "attendees": [name for name in attendees if name],
        },
    )


def _time_in(text: str) -> tuple[int, int] | None:
    found = _AT.search(text)
    if found is None:
        return None
    half, said_hour, digits, said_minutes, half_day = found.groups()
    hour = int(said_hour) if said_hour.isdigit() else _HOURS[said_hour.lower()]
    minute = 30 if half else int(digits) if digits else _MINUTES[(said_minutes or "").lower()]
    if half_day and hour <= 12:
        hour = hour % 12 + (12 if half_day.lower().startswith("p") else 0)
    return (hour, minute) if hour < 24 and minute < 60 else None


def _day_in(text: str, now: datetime, at: tuple[int, int]) -> datetime:
    """The next such time: on the day that is named, or as soon as it comes."""
    today = now.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    found = _DAY.search(text)
    day = found[1].lower() if found else ""
    if day == "tomorrow":
        return today + timedelta(days=1)
    if day in _DAYS:
        ahead = (_DAYS.index(day) - now.weekday()) % 7
        return today + timedelta(days=ahead if ahead or today > now else 7)
    return today if day == "today" or today > now else today + timedelta(days=1)


def _length_in(text: str) -> timedelta:
    found = _FOR.search(text)
    if found is None:
        return DEFAULT_LENGTH
    said, unit = found[1].lower(), found[2].lower()
    if said == "half an":
        return timedelta(minutes=30)
    count = int(said) if said.isdigit() else {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}[said]
    return max(timedelta(hours=count) if unit.startswith("hour") else timedelta(minutes=count), timedelta(minutes=1))
