"""From LiveKit's webhook to Inngest's event, through the running service."""

from __future__ import annotations

import statistics
import time

from tests.integration.webhook_bridge.bridge_process import Bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.integration.webhook_bridge.waiting import wait_until
from tests.unit.webhook_bridge.webhooks import room_finished


def test_a_finished_room_becomes_one_event_when_its_webhook_is_delivered(replica: Bridge, inngest: InngestStub) -> None:
    """The event has the fields and the times that the contract promises."""
    assert replica.deliver(room_finished(), authorization=None).status_code == 200
    wait_until(lambda: inngest.taken, seconds=5)
    (event,) = inngest.taken
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


def test_events_follow_their_webhooks_within_tens_of_milliseconds(replica: Bridge, inngest: InngestStub) -> None:
    """Nobody waits for the next poll."""
    seconds = []
    for number in range(20):
        started = time.monotonic()
        assert replica.deliver(room_finished(f"EV_{number}", sid=f"RM_{number}")).status_code == 200
        wait_until(lambda expected=number + 1: len(inngest.taken) >= expected, seconds=5)
        seconds.append(time.monotonic() - started)
    print(f"webhook to event: p50 {statistics.median(seconds) * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms")
    assert statistics.median(seconds) < 0.5
