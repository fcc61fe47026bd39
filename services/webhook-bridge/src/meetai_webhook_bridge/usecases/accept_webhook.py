"""A webhook comes in: verify, store, and only then answer.

Owns the invariant "200 only after the commit". Must not know HTTP or SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from meetai_webhook_bridge.domain.errors import (
    ForgedWebhookError,
    MalformedWebhookError,
    NoEventError,
    StoreAwayError,
)
from meetai_webhook_bridge.domain.events import event_of
from meetai_webhook_bridge.domain.meetings import RoomFacts, check_finished, facts_of
from meetai_webhook_bridge.domain.webhooks import Webhook, minimised, webhook_label
from meetai_webhook_bridge.ports import Inbox, Measures, WebhookReader

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
        told = self._told(webhook)
        event = event_of(webhook, self._relayed)
        label = webhook_label(webhook.event)
        try:
            is_new = await self._inbox.accept(replace(webhook, body=minimised(webhook.body)), event, told)
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
        if is_new and (event is not None or (told is not None and told.finished_at is not None)):
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

    def _told(self, webhook: Webhook) -> RoomFacts | None:
        if webhook.event == "room_finished":
            try:
                check_finished(webhook)
            except NoEventError as error:  # stored without one: LiveKit's retries would not mend it
                log.warning("webhook_without_event", webhook_id=webhook.id, reason=error.reason)
        return facts_of(webhook)
