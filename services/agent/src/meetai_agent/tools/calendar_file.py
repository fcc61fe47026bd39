"""A calendar event as a file that any calendar takes (RFC 5545).

Pure, and made from a valid event it never raises. No METHOD: this is an event to be added to a calendar, not an invitation
that a mail program may send around (RFC 5546).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, vCalAddress

from meetai_contracts.approval import CalendarEvent

PRODUCT: Final = "-//MeetAI//realtime engine//EN"
NEAR: Final = timedelta(hours=26)
"""More than any clock was ever put forward (24 h, Samoa 2011). icalendar 7.3 gives the onset of summer time by the new clock where
RFC 5545, section 3.6.5, wants the old one, and the hour that comes twice in autumn has no name in local time."""
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""HTML's idea of an e-mail address (WHATWG, "valid e-mail address"): nothing in it needs quoting in a calendar address."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""RFC 5545, section 3.1, forbids control characters in text; C1 and Unicode's line separators end lines for some readers."""


def calendar_file(event: CalendarEvent, *, uid: UUID, stamp: datetime, organizer: str) -> str:
    """The event as one iCalendar object, lines folded and ended by CRLF.

    Args:
        event: Its time zone is one that `zoneinfo` knows.
        uid: The proposal's id: imported twice, it is one event.
        stamp: When it was decided.
        organizer: Who approved it. Named if it is an e-mail address; calendars know no other kind of person. So for attendees.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    entry = Event()
    entry.add("uid", str(uid))
    entry.add("dtstamp", stamp.astimezone(UTC))
    times: tuple[datetime, datetime] = event.start.astimezone(UTC), event.end.astimezone(UTC)
    if definition := _time_zone(event):
        calendar.add_component(definition)
        times = _local_times(event)
    for name, at in zip(("dtstart", "dtend"), times, strict=True):
        entry.add(name, at)
    entry.add("summary", _text(event.title))
    if event.description:
        entry.add("description", _text(event.description))
    if event.location:
        entry.add("location", _text(event.location))
    if _ADDRESS.fullmatch(organizer):
        entry.add("organizer", _address(organizer))
    for attendee in dict.fromkeys(event.attendees):
        if _ADDRESS.fullmatch(attendee):
            entry.add("attendee", _address(attendee))
    calendar.add_component(entry)
    return bytes(calendar.to_ical()).decode()


def _local_times(event: CalendarEvent) -> tuple[datetime, datetime]:
    zone = ZoneInfo(event.time_zone)
    return event.start.astimezone(zone), event.end.astimezone(zone)


def _time_zone(event: CalendarEvent) -> Timezone | None:
    """What the event's local times mean; None where calendars might read them in two ways, so that UTC has to be written."""
    local = _local_times(event)
    if event.time_zone in {"UTC", "Etc/UTC"} or any(_clocks_change_near(at) for at in local):
        return None
    # A year on either side: the rules that are in force, and no list of 68 years of changes.
    definition = Timezone.from_tzid(
        event.time_zone, first_date=date(event.start.year - 1, 1, 1), last_date=date(event.end.year + 2, 1, 1)
    )
    for observance in definition.subcomponents:
        onsets = observance.rdates
        observance.pop("rdate", None)
        for onset, _ in onsets:  # one to a property: vobject takes the first of several
            observance.add("rdate", [onset])
    # icalendar 7.3 overlooks what lasts less than 64 days, as summer time's pause for Ramadan in Morocco.
    as_read = definition.to_tz(lookup_tzid=False)
    if any(at.replace(tzinfo=as_read).utcoffset() != at.utcoffset() for at in local):
        return None
    return definition


def _clocks_change_near(local: datetime) -> bool:
    at = local.astimezone(UTC)
    return (at - NEAR).astimezone(local.tzinfo).utcoffset() != (at + NEAR).astimezone(local.tzinfo).utcoffset()


def _text(text: str) -> str:
    return _CONTROLS.sub(" ", text.replace("\r\n", "\n"))


def _address(address: str) -> vCalAddress:
    return vCalAddress(f"mailto:{address}")
