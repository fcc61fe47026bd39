"""What an entry of the events stream becomes, however wrong it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_contracts.events import MAX_EVENT_BYTES
from meetai_servicekit.streams import Arrival
from meetai_webhook_bridge.domain.entries import MAX_KEPT_BYTES, StreamEntry, open_entry

GOOD: dict[str, Any] = {
    "v": 1,
    "id": "meetai-transcript.completed-RM_1",
    "name": "meetai/transcript.completed",
    "occurredAt": "2026-11-23T12:00:00+02:00",
    "data": {"meetingId": "standup", "roomSid": "RM_1", "lines": 3},
}


def opened(payload: bytes) -> StreamEntry:
    return open_entry(Arrival("meetai:events", "5-0", {b"e": payload}))


def changed(**fields: Any) -> bytes:
    return msgspec.json.encode({**GOOD, **fields})


def test_an_event_is_as_it_was_told() -> None:
    """Its id and its name, its data, the instant in UTC; found by its meeting, kept in the order of its room."""
    event = opened(changed(unknown="field")).event
    assert event is not None
    assert (event.event.id, event.event.name, event.event.data) == (GOOD["id"], GOOD["name"], GOOD["data"])
    assert event.event.occurred_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (event.source, event.meeting_id, event.room_sid) == ("stream", "standup", "RM_1")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\0 not JSON", "malformed"),
        (b"[]", "body: "),
        (changed(v=2), "v: "),
        (changed(name="somebody/else"), "name: "),
        (changed(id="a\0b"), "id: "),
        (changed(id=""), "id: "),
        (changed(occurredAt="2026-11-23T12:00:00"), "occurredAt: "),
        (changed(occurredAt="0001-01-01T00:00:00+05:00"), "OverflowError"),
        (changed(data="x" * MAX_EVENT_BYTES), "at most"),
        (b'{"v":1,"id":"a","name":"meetai/a","occurredAt":"2026-11-23T12:00:00Z","data":' + b'{"a":' * 100_000, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_event_is_kept_with_the_reason(payload: bytes, reason: str) -> None:
    """The reason names the field, and quotes nothing."""
    entry = opened(payload)
    assert entry.event is None
    assert reason in entry.reason
    assert "somebody" not in entry.reason
    assert entry.payload == payload[:MAX_KEPT_BYTES]


def test_an_entry_without_the_field_is_kept_whole() -> None:
    """Whatever else it has."""
    entry = open_entry(Arrival("meetai:events", "5-0", {b"x": b"y"}))
    assert entry.event is None
    assert msgspec.msgpack.decode(entry.payload) == {b"x": b"y"}


@pytest.mark.parametrize("meeting_id", [None, 7, "", "x" * 257, "a\u202eb", ["a"]])
def test_an_event_without_a_proper_meeting_is_still_an_event(meeting_id: object) -> None:
    """It isn't found by a meeting; an id that no index could hold must not stand in its way."""
    event = opened(changed(data={"meetingId": meeting_id})).event
    assert event is not None
    assert event.meeting_id is None


def test_text_that_postgres_refuses_is_cleaned() -> None:
    """NUL becomes U+FFFD, as everywhere."""
    event = opened(changed(data={"comment": "a\0b"})).event
    assert event is not None
    assert event.event.data == {"comment": "a\ufffdb"}


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    """Any entry becomes an event or is kept."""
    entry = opened(payload)
    assert (entry.event is None) == bool(entry.reason)
