"""What the use cases need from the outside, as Protocols. Every adapter and every fake keeps these promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from meetai_contracts.api import EventState, LedgerPage
from meetai_contracts.events import DomainEvent
from meetai_servicekit.streams import StreamObserver
from meetai_webhook_bridge.domain.delivery import Backlog, ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.webhooks import Webhook


class WebhookReader(Protocol):
    """Knows who may send webhooks."""

    def read(self, body: bytes, authorization: str) -> Webhook:
        """Verify, then parse.

        Raises:
            ForgedWebhookError: not to be believed.
            MalformedWebhookError: believed, and not understood.
        """


class Inbox(Protocol):
    """What was accepted, webhooks by their ids and events by theirs."""

    async def accept(self, webhook: Webhook, event: OutboundEvent | None) -> bool:
        """Store both for good, in one transaction; false when this webhook was stored before. An event with an id that is known is not stored again.

        Raises:
            StoreAwayError: perhaps nothing was stored.
        """

    async def accept_entries(self, entries: Sequence[StreamEntry]) -> int:
        """Store them for good, in one transaction; returns how many were new. An event with an id that is known is not stored again.

        What isn't an event is kept with its bytes, and listed by the ledger as `dead`.

        Raises:
            RejectError: one of them can't be stored, ever. Nothing was stored.
            StoreAwayError: perhaps nothing was stored.
        """


class Outbox(Protocol):
    """Events on their way. In order within a room; claimed by one process at a time."""

    async def claim_due(self, *, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        """Take events that are due, at most one a room, and keep others from them until the lease ends.

        Raises:
            StoreAwayError: perhaps some are leased to nobody, and come back when their lease ends.
        """

    async def mark_sent(self, event_id: str) -> None:
        """Say that an event was delivered.

        Raises:
            StoreAwayError: it will be delivered again, under the same id.
        """

    async def mark_failed(self, claimed: ClaimedEvent, *, reason: str, retry_after_seconds: float | None) -> None:
        """Say that an attempt failed; `retry_after_seconds` None means that it was the last. Void if someone has claimed it since.

        Raises:
            StoreAwayError: it comes back when its lease ends.
        """

    async def backlog(self) -> Backlog:
        """Count what isn't delivered.

        Raises:
            StoreAwayError: not known now.
        """


class EventSink(Protocol):
    """Where events are delivered to."""

    async def send(self, event: DomainEvent) -> None:
        """Return when the event is certainly taken, within a few seconds.

        Raises:
            SendError: it may or may not have been taken; send it again under the same id.
        """


class LedgerQuery(Struct, frozen=True):
    """Which events to list, newest first; `before` is the cursor of the page before."""

    limit: int
    state: EventState | None = None
    meeting_id: str | None = None
    before: int | None = None


class Ledger(Protocol):
    """What became of each event."""

    async def page(self, query: LedgerQuery) -> LedgerPage:
        """One page.

        Raises:
            StoreAwayError: not known now.
        """


class Measures(StreamObserver, Protocol):
    """What is counted."""

    def webhook_answered(self, event: str, outcome: str) -> None:
        """One webhook; `event` and `outcome` out of a known few."""

    def entries_accepted(self, outcome: str, entries: int) -> None:
        """Entries of the events stream: `new`, `duplicate` or `unreadable`."""

    def event_attempted(self, outcome: str, seconds: float) -> None:
        """One attempt at delivery: `sent`, `failed` or `dead`."""

    def backlog_seen(self, backlog: Backlog) -> None:
        """How much there is to deliver."""
