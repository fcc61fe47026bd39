"""Accepting: what is stored, what is said, and when the relay is woken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox

from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError, StoreAwayError
from meetai_webhook_bridge.domain.webhooks import Room, Webhook
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

AT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeReader:
    """The port `WebhookReader`: gives what it is told to."""

    def __init__(self, outcome: Webhook | Exception) -> None:
        self.outcome = outcome

    def read(self, body: bytes, authorization: str) -> Webhook:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def webhook(event: str = "room_finished", name: str = "standup") -> Webhook:
    return Webhook(id="EV_1", event=event, created_at=AT, room=Room(sid="RM_1", name=name, created_at=AT), body={})


class Accepting:
    """The use case over fakes."""

    def __init__(self, outcome: Webhook | Exception) -> None:
        self.inbox = MemoryInbox(FakeClock())
        self.measures = FakeMeasures()
        self.wakes = 0
        self._accept = AcceptWebhook(
            reader=FakeReader(outcome),
            inbox=self.inbox,
            measures=self.measures,
            relayed=frozenset({"room_finished"}),
            wake_relay=self._wake,
        )

    async def __call__(self) -> None:
        await self._accept.accept(b"the body", "the token")

    def _wake(self) -> None:
        assert self.inbox.webhooks, "woken before it was stored"
        self.wakes += 1


async def test_a_webhook_is_stored_with_its_event_before_the_relay_is_woken() -> None:
    """And then counted as accepted."""
    accept = Accepting(webhook())
    await accept()
    assert list(accept.inbox.webhooks) == ["EV_1"]
    assert list(accept.inbox.rows) == ["livekit-room_finished-RM_1"]
    assert accept.wakes == 1
    assert accept.measures.webhooks == [("room_finished", "accepted")]


async def test_nothing_is_added_when_a_webhook_comes_again() -> None:
    """It is a success all the same: LiveKit must stop sending it."""
    accept = Accepting(webhook())
    await accept()
    await accept()
    assert len(accept.inbox.rows) == accept.wakes == 1
    assert accept.measures.webhooks[-1] == ("room_finished", "duplicate")


async def test_a_webhook_is_stored_without_an_event_when_its_kind_isnt_relayed() -> None:
    """It is known, and nobody is told."""
    accept = Accepting(webhook("track_published"))
    await accept()
    assert list(accept.inbox.webhooks) == ["EV_1"]
    assert not accept.inbox.rows
    assert accept.wakes == 0


async def test_a_finished_room_is_stored_without_an_event_when_it_cant_be_named() -> None:
    """LiveKit's retries would bring the same; the log says why there is no event."""
    accept = Accepting(webhook(name=""))
    with capture_logs() as logs:
        await accept()
    assert list(accept.inbox.webhooks) == ["EV_1"]
    assert not accept.inbox.rows
    assert [line["event"] for line in logs] == ["webhook_without_event", "webhook_accepted"]


@pytest.mark.parametrize(
    ("refusal", "counted"),
    [
        (ForgedWebhookError("expired"), ("unverified", "refused")),
        (MalformedWebhookError("ValidationError"), ("other", "malformed")),
    ],
)
async def test_nothing_is_stored_when_a_webhook_is_refused(refusal: Exception, counted: tuple[str, str]) -> None:
    """The log has the reason in a word, and neither token nor body."""
    accept = Accepting(refusal)
    with capture_logs() as logs, pytest.raises(type(refusal)):
        await accept()
    assert not accept.inbox.webhooks
    assert accept.measures.webhooks == [counted]
    assert "the token" not in str(logs)
    assert "the body" not in str(logs)


async def test_the_sender_hears_of_it_when_the_store_is_away() -> None:
    """So that LiveKit tries again."""
    accept = Accepting(webhook())
    accept.inbox.is_away = True
    with pytest.raises(StoreAwayError):
        await accept()
    assert accept.wakes == 0
    assert accept.measures.webhooks == [("room_finished", "unavailable")]
