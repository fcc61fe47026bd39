"""What every event sink promises, the fake one and Inngest's alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import pytest

from meetai_contracts.events import DomainEvent
from meetai_webhook_bridge.domain.errors import SendError
from meetai_webhook_bridge.ports import EventSink

EVENT = DomainEvent(
    v=1,
    id="livekit-room_finished-RM_1",
    name="livekit/room_finished",
    occurred_at=datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC),
    data={"meetingId": "standup 😀", "roomSid": "RM_1"},
)


class Target(Protocol):
    """Where a sink sends to, and how it is made to fail."""

    @property
    def ids(self) -> list[str]:
        """The id of every event taken, as often as it was taken."""

    def fail_once(self) -> None:
        """Take nothing the next time."""


class SinkSuite:
    """Subclasses give the fixtures `sink` and `target`."""

    async def test_an_event_is_taken_when_send_returns(self, sink: EventSink, target: Target) -> None:
        """Once, under its own id."""
        await sink.send(EVENT)
        assert target.ids == [EVENT.id]

    async def test_a_failure_is_told_in_a_word_when_nothing_was_taken(self, sink: EventSink, target: Target) -> None:
        """And the same event can be sent again."""
        target.fail_once()
        with pytest.raises(SendError) as failure:
            await sink.send(EVENT)
        assert failure.value.reason.isidentifier()
        assert target.ids == []
        await sink.send(EVENT)
        assert target.ids == [EVENT.id]
