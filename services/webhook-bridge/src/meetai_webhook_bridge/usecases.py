"""What the service does: accept a webhook, accept what the events stream brings, deliver what is due.

Owns the order of steps, and so the invariant "acknowledge only after the durable write". Must not know HTTP, SQL or an SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from meetai_servicekit.patience import Patience
from meetai_servicekit.streams import Arrival, EntryStream
from meetai_webhook_bridge.domain import (
    ClaimedEvent,
    ForgedWebhookError,
    MalformedWebhookError,
    NoEventError,
    OutboundEvent,
    RejectError,
    SendError,
    StoreAwayError,
    StreamEntry,
    Webhook,
    event_of,
    open_entry,
    retry_wait_seconds,
    webhook_label,
)
from meetai_webhook_bridge.ports import EventSink, Inbox, Measures, Outbox, WebhookReader

BATCH_EVENTS: Final = 32
"""Sent side by side: 300 a second when one takes 100 ms; well below the 100 connections of the SDK's pool."""
LEASE_SECONDS: Final = 10.0
"""Longer than a send and the mark after it can take (4 s and 1.5 s); after a crash an event waits this long."""

UNVERIFIED: Final = "unverified"

log = structlog.get_logger()


class AcceptWebhook:
    """Answers for a webhook: when this returns, it is stored for good."""

    def __init__(
        self,
        *,
        reader: WebhookReader,
        inbox: Inbox,
        measures: Measures,
        relayed: frozenset[str],
        wake_relay: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._inbox = inbox
        self._measures = measures
        self._relayed = relayed
        self._wake_relay = wake_relay

    async def accept(self, body: bytes, authorization: str) -> None:
        """Verify, store, and wake the relay.

        Raises:
            ForgedWebhookError: nothing was stored.
            MalformedWebhookError: nothing was stored.
            StoreAwayError: perhaps nothing was stored; LiveKit will try again.
        """
        webhook = self._read(body, authorization)
        event = self._event_of(webhook)
        label = webhook_label(webhook.event)
        try:
            is_new = await self._inbox.accept(webhook, event)
        except StoreAwayError:
            self._measures.webhook_answered(label, "unavailable")
            raise
        self._measures.webhook_answered(label, "accepted" if is_new else "duplicate")
        log.info(
            "webhook_accepted",
            webhook_id=webhook.id,
            webhook=label,
            room_sid=webhook.room.sid if webhook.room else None,
            duplicate=not is_new,
            event_id=event.event.id if event else None,
        )
        if is_new and event is not None:
            self._wake_relay()

    def _read(self, body: bytes, authorization: str) -> Webhook:
        try:
            return self._reader.read(body, authorization)
        except ForgedWebhookError as error:
            self._measures.webhook_answered(UNVERIFIED, "refused")
            log.warning("webhook_refused", reason=error.reason, body_bytes=len(body))
            raise
        except MalformedWebhookError as error:
            self._measures.webhook_answered("other", "malformed")
            log.warning("webhook_malformed", reason=error.reason, body_bytes=len(body))
            raise

    def _event_of(self, webhook: Webhook) -> OutboundEvent | None:
        try:
            return event_of(webhook, self._relayed)
        except NoEventError as error:  # stored without one: LiveKit's retries would not mend it
            log.warning("webhook_without_event", webhook_id=webhook.id, reason=error.reason)
            return None


async def open_entries(arrivals: Sequence[Arrival]) -> tuple[StreamEntry, ...]:
    """Open a set of entries, letting webhooks be answered in between: the largest takes a few milliseconds."""
    opened: list[StreamEntry] = []
    for arrival in arrivals:
        opened.append(open_entry(arrival))
        await asyncio.sleep(0)
    return tuple(opened)


class AcceptEntries:
    """Answers for a set of entries of the events stream: they are acknowledged once they are stored for good."""

    def __init__(self, inbox: Inbox, *, patience: Patience, measures: Measures, wake_relay: Callable[[], None]) -> None:
        self._inbox = inbox
        self._patience = patience
        self._measures = measures
        self._wake_relay = wake_relay

    async def __call__(self, stream: EntryStream, entries: Sequence[StreamEntry]) -> None:
        """Store, acknowledge, and wake the relay. Returns when that is done, however long a server is away.

        Raises:
            RejectError: not even the bytes of an entry can be stored; it stays pending.
        """
        new = await self._store(entries)
        await self._patience.insist("acknowledge", partial(stream.acknowledge, [entry.entry_id for entry in entries]))
        self._measures.entries_accepted("new", new)
        self._measures.entries_accepted("duplicate", len(entries) - new)
        log.info(
            "entries_accepted",
            stream=stream.name,
            first_entry=entries[0].entry_id,
            last_entry=entries[-1].entry_id,
            entries=len(entries),
            new=new,
        )
        if new:
            self._wake_relay()

    async def _store(self, entries: Sequence[StreamEntry]) -> int:
        """Store; what is refused is halved until what is bad stands alone, and is kept as it came."""
        try:
            new = await self._patience.insist("accept entries", partial(self._inbox.accept_entries, entries))
        except RejectError as error:
            if len(entries) > 1:
                middle = len(entries) // 2
                return await self._store(entries[:middle]) + await self._store(entries[middle:])
            if entries[0].event is None:
                raise
            return await self._store([replace(entries[0], event=None, reason=f"refused: {error.reason}")])
        for entry in entries:
            if entry.event is None:
                self._measures.entries_accepted("unreadable", 1)
                log.error(
                    "entry_unreadable",
                    stream=entry.stream,
                    entry_id=entry.entry_id,
                    reason=entry.reason,
                    payload_bytes=len(entry.payload),
                    event_id=entry.ledger_id,
                )
        return new


class DeliverDueEvents:
    """Delivers events, each under one id however often it is tried."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        sink: EventSink,
        measures: Measures,
        random: Callable[[], float],
        monotonic_seconds: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._measures = measures
        self._random = random
        self._monotonic_seconds = monotonic_seconds

    async def deliver(self) -> int:
        """Try a batch of what is due; returns how many were tried. No transaction is open while one is sent.

        Raises:
            StoreAwayError: nothing could be claimed.
        """
        batch = await self._outbox.claim_due(limit=BATCH_EVENTS, lease_seconds=LEASE_SECONDS)
        async with asyncio.TaskGroup() as group:
            for claimed in batch:
                group.create_task(self._deliver(claimed), name=f"deliver {claimed.event.id}")
        return len(batch)

    async def _deliver(self, claimed: ClaimedEvent) -> None:
        started = self._monotonic_seconds()
        try:
            reason = await self._outcome(claimed)
            seconds = self._monotonic_seconds() - started
            if reason is None:
                await self._outbox.mark_sent(claimed.event.id)
                self._report("sent", claimed, seconds)
                return
            wait_seconds = retry_wait_seconds(claimed.attempt, self._random)
            await self._outbox.mark_failed(claimed, reason=reason, retry_after_seconds=wait_seconds)
            self._report("dead" if wait_seconds is None else "failed", claimed, seconds, reason=reason)
        except StoreAwayError:  # the lease ends by itself; sending again is harmless, the id is the same
            log.warning("event_outcome_not_stored", event_id=claimed.event.id, attempt=claimed.attempt)

    async def _outcome(self, claimed: ClaimedEvent) -> str | None:
        """Send one event: None when it was taken, else the reason in a word."""
        try:
            await self._sink.send(claimed.event)
        except SendError as error:
            return error.reason
        return None

    def _report(self, outcome: str, claimed: ClaimedEvent, seconds: float, *, reason: str | None = None) -> None:
        self._measures.event_attempted(outcome, seconds)
        event_log = log.bind(
            event_id=claimed.event.id, name=claimed.event.name, attempt=claimed.attempt, ms=round(seconds * 1000, 1)
        )
        if outcome == "sent":
            event_log.info("event_sent")
        elif outcome == "failed":
            event_log.warning("event_send_failed", reason=reason)
        else:
            event_log.error("event_died", reason=reason)
