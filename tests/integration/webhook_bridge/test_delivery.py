"""From LiveKit's webhook to Inngest's event, through the running service."""

from __future__ import annotations

import statistics
import time

from tests.integration.webhook_bridge.conftest import Shared
from tests.unit.webhook_bridge.webhooks import room_finished
from tests.waiting import wait_until


def test_a_finished_room_becomes_one_event_when_its_webhook_is_delivered(shared: Shared) -> None:
    """The event has the fields and the times that the contract promises."""
    assert shared.replica.deliver(room_finished()).status_code == 200
    wait_until(lambda: shared.inngest.taken, seconds=5)
    (event,) = shared.inngest.taken
    assert event["id"] == "livekit-room_finished-RM_1"
    assert event["name"] == "livekit/room_finished"
    assert event["ts"] == 1_700_000_600_000
    assert event["data"] == {
        "meetingId": "standup",
        "startedAt": "2023-11-14T22:13:20.123000Z",
        "endedAt": "2023-11-14T22:23:20Z",
        "roomSid": "RM_1",
        "source": "webhook",
        "reason": "webhook",
    }


def test_events_follow_their_webhooks_within_tens_of_milliseconds(shared: Shared) -> None:
    """Nobody waits for the next poll."""
    seconds = []
    for number in range(20):
        started = time.monotonic()
        assert shared.replica.deliver(room_finished(f"EV_{number}", sid=f"RM_{number}")).status_code == 200
        wait_until(lambda: f"livekit-room_finished-RM_{number}" in shared.inngest.ids, seconds=5)  # noqa: B023 - called before the next turn
        seconds.append(time.monotonic() - started)
    print(f"webhook to event: p50 {statistics.median(seconds) * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms")
    assert statistics.median(seconds) < 0.9  # the next poll comes after 1 s
