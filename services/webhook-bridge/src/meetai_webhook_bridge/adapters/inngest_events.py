"""Inngest, through its SDK.

Owns what counts as delivered: the SDK's `send` returns an empty list, without an error, for a 503, a 429 or a 200 with an
unexpected body (FACTS, Inngest). Must not try again beyond what the SDK does by itself within the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import inngest
from msgspec import Struct

from meetai_contracts.events import DomainEvent
from meetai_servicekit.secret import Secret
from meetai_servicekit.tracing import TRACEPARENT
from meetai_webhook_bridge.domain.errors import SendError

APP_ID: Final = "meetai-webhook-bridge"
REQUEST_SECONDS: Final = 2.0
"""The SDK's own default is 30 s, five times over (FACTS, Inngest)."""
SEND_SECONDS: Final = 4.0
"""All of one send: the SDK's five quick tries take 3.1-3.6 s when each is refused at once, two when each times out."""


class InngestTarget(Struct, frozen=True):
    """Which Inngest, as its SDK wants it.

    Attributes:
        dev: A dev server: no keys are needed.
        api_base_url, event_api_base_url: None for the SDK's own addresses.
    """

    dev: bool
    event_key: Secret | None
    signing_key: Secret | None
    api_base_url: str | None
    event_api_base_url: str | None


class InngestSink:
    """Keeps the promise of the port `EventSink`."""

    def __init__(self, target: InngestTarget, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._client = inngest.Inngest(
            app_id=APP_ID,
            api_base_url=target.api_base_url,
            event_api_base_url=target.event_api_base_url,
            event_key=target.event_key.reveal() if target.event_key else None,
            signing_key=target.signing_key.reveal() if target.signing_key else None,
            is_production=not target.dev,
            request_timeout=timedelta(seconds=REQUEST_SECONDS),
        )

    async def send(self, event: DomainEvent, *, traceparent: str | None = None) -> None:
        """Return when Inngest has given an id for the event. A function goes on with its trace by `event.data["traceparent"]`.

        Raises:
            SendError: it may or may not have been taken.
        """
        data = event.data if traceparent is None else {**event.data, TRACEPARENT: traceparent}
        outgoing = inngest.Event(id=event.id, name=event.name, data=data, ts=self._timestamp_ms(event))
        try:
            async with asyncio.timeout(SEND_SECONDS):
                ids = await self._client.send(outgoing)
        except TimeoutError as error:
            raise SendError("timeout") from error
        except Exception as error:  # whatever a strange answer makes its parsers raise, the event isn't sent
            raise SendError(type(error).__name__) from error
        if len(ids) != 1:
            raise SendError("no_id_returned")

    def _timestamp_ms(self, event: DomainEvent) -> int:
        """When it happened, but never later than now: Inngest would put the run off until then."""
        return int(min(event.occurred_at, self._now().astimezone(UTC)).timestamp() * 1000)
