"""The calendar file against a parser that isn't the one that wrote it (vobject, which also computes times by VTIMEZONE alone)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import vobject
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meetai_agent.tools.calendar_file import calendar_file
from meetai_agent.tools.calendar_proposal import FIRST_YEAR, LAST_YEAR, check_event
from meetai_contracts.approval import CalendarEvent

UID = UUID("0199f5a1-0000-7000-8000-000000000001")
STAMP = dt.datetime(2026, 11, 2, 9, 0, 0, 250_000, tzinfo=dt.UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def event(**changes: Any) -> CalendarEvent:
    values: dict[str, Any] = {
        "title": "Retro",
        "start": dt.datetime(2026, 11, 9, 10, 0, tzinfo=BERLIN),
        "end": dt.datetime(2026, 11, 9, 10, 30, tzinfo=BERLIN),
        "time_zone": "Europe/Berlin",
    }
    return CalendarEvent(**(values | changes))


def written(one: CalendarEvent, organizer: str = "u-1") -> str:
    return calendar_file(one, uid=UID, stamp=STAMP, organizer=organizer)


def read(text: str) -> Any:
    """The one event in it; every line as RFC 5545, section 3.1, wants it."""
    assert text.endswith("\r\n")
    for line in text.removesuffix("\r\n").split("\r\n"):
        assert len(line.encode()) <= 75
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line)
    vobject.icalendar.__tzidMap.clear()  # else it would take an earlier file's word for the zone
    [calendar] = list(vobject.readComponents(text, validate=True))
    assert calendar.version.value == "2.0"
    [entry] = calendar.vevent_list
    return entry


def test_an_event_is_what_was_approved_when_another_program_reads_it() -> None:
    """Uid, stamp, times, texts with everything that must be escaped or folded, and people with e-mail addresses."""
    long = "What went well, what didn't; and why?\nC:\\notes \N{GRINNING FACE} " * 20
    text = written(
        event(
            title="Retro, again; with \\ backslash",
            description=long.strip(),
            location="Room 4\r\nATTENDEE:mailto:mallory@example.com",
            attendees=("ann@example.com", "u-2", "ann@example.com", "o'neil+cal@example.co.uk"),
        ),
        organizer="ada@example.com",
    )
    entry = read(text)
    assert entry.uid.value == str(UID)
    assert entry.dtstamp.value == STAMP.replace(microsecond=0)
    assert entry.dtstart.value == dt.datetime(2026, 11, 9, 9, 0, tzinfo=dt.UTC)
    assert entry.dtend.value == dt.datetime(2026, 11, 9, 9, 30, tzinfo=dt.UTC)
    assert "DTSTART;TZID=Europe/Berlin:20261109T100000\r\n" in text
    assert entry.summary.value == "Retro, again; with \\ backslash"
    assert entry.description.value == long.strip()
    assert entry.location.value == "Room 4\nATTENDEE:mailto:mallory@example.com"
    assert [each.value for each in entry.attendee_list] == ["mailto:ann@example.com", "mailto:o'neil+cal@example.co.uk"]
    assert entry.organizer.value == "mailto:ada@example.com"


@pytest.mark.parametrize(
    "attendee",
    [
        "u-2",
        "@",
        "a@b\r\nX-EVIL:1",
        "ann@example.com\n",
        "ann@exa mple.com",
        '"a,b"@example.com',
        "mailto:ann@example.com",
        "\N{GRINNING FACE}@example.com",
    ],
)
def test_a_person_is_left_out_when_a_calendar_would_not_know_them(attendee: str) -> None:
    """Only the event's own data names them then; nothing can be slipped in by a name."""
    text = written(event(attendees=(attendee,)), organizer=attendee)
    read(text)
    assert not re.search("ATTENDEE|ORGANIZER|EVIL", text)


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC"])
def test_times_are_in_utc_when_the_event_is(zone: str) -> None:
    """No VTIMEZONE for it."""
    text = written(event(time_zone=zone))
    assert "DTSTART:20261109T090000Z\r\n" in text
    assert "VTIMEZONE" not in text


@pytest.mark.parametrize("day", [dt.datetime(2026, 10, 25, tzinfo=dt.UTC), dt.datetime(2026, 3, 29, tzinfo=dt.UTC)])
def test_times_are_in_utc_when_the_clocks_change_near_them(day: dt.datetime) -> None:
    """02:30 comes twice in Berlin in autumn; in spring, calendars differ about the hour in which the change was."""
    start = day.replace(hour=1, minute=30)
    entry = read(text := written(event(start=start, end=start + dt.timedelta(hours=2))))
    assert entry.dtstart.value == start
    assert f"DTSTART:{start:%Y%m%dT%H%M%SZ}\r\n" in text


ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@settings(max_examples=80)
@given(
    days=st.integers(1, (LAST_YEAR - FIRST_YEAR) * 365),
    seconds=st.integers(0, 86_399),
    minutes=st.integers(1, 60 * 24 * 10),
    zone=st.sampled_from(ZONES),
    title=texts,
    more=st.none() | texts,
    attendees=st.lists(st.emails() | texts, max_size=3),
)
@example(16_986, 0, 1, "Africa/Casablanca", "several changes of one kind in a year", None, [])
@example(20_504, 0, 1, "Africa/Casablanca", "a time between two changes that is too short for icalendar", None, [])
def test_any_event_is_read_back_at_its_instants(
    days: int, seconds: int, minutes: int, zone: str, title: str, more: str | None, attendees: list[str]
) -> None:
    """Whatever the texts, in zones of every kind, by what the file itself says of the zone."""
    start = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=days, seconds=seconds)
    one = event(
        title=title + ".",
        start=start,
        end=start + dt.timedelta(minutes=minutes),
        time_zone=zone,
        description=more,
        location=more,
        attendees=tuple(attendees),
    )
    check_event(one)
    entry = read(written(one))
    assert (entry.dtstart.value, entry.dtend.value) == (one.start, one.end)
