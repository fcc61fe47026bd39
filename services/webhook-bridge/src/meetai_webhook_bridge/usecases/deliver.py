"""Deliver what is due, each event under one id however often it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from meetai_servicekit.tracing import NO_TRACING, consuming_span
from meetai_webhook_bridge.domain.delivery import ClaimedEvent, retry_wait_seconds
from meetai_webhook_bridge.domain.errors import (
    SendError,
    StoreAwayError,
)
from meetai_webhook_bridge.ports import EventSink, Measures, Outbox

BATCH_EVENTS: Final = 32
"""Sent side by side: 300 a second when one takes 100 ms; well below the 100 connections of the SDK's pool."""

LEASE_SECONDS: Final = 10.0
"""Longer than a send and the mark after it can take (4 s and 1.5 s); after a crash an event waits this long."""

log = structlog.get_logger()


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
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._tracer = tracer
        self._outbox = outbox
        self._sink = sink
        self._measures = measures
        self._random = random
        self._monotonic_seconds = monotonic_seconds
        self._sending: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def begin(self, on_done: Callable[[], None]) -> int:
        """Begin to send what is due, beside what is being sent; returns how many. No transaction is open while one is sent.

        Whoever hangs keeps a place, and nobody waits for them. `on_done` is called as each comes to its end.

        Raises:
            StoreAwayError: nothing could be claimed.
        """
        if self._failure is not None:
            raise self._failure
        free = BATCH_EVENTS - len(self._sending)
        if free == 0:
            return 0
        batch = await self._outbox.claim_due(limit=free, lease_seconds=LEASE_SECONDS)
        for claimed in batch:
            task = asyncio.create_task(self._traced(claimed), name=f"deliver {claimed.event.id}")
            self._sending.add(task)
            task.add_done_callback(partial(self._ended, on_done))
        return len(batch)

    async def finish(self) -> None:
        """Wait until nothing is being sent any more; every send is bounded."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def deliver(self) -> int:
        """Begin, and finish."""
        begun = await self.begin(lambda: None)
        await self.finish()
        return begun

    def _ended(self, on_done: Callable[[], None], task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure  # a fault of ours: the process ends with it
        on_done()

    async def _traced(self, claimed: ClaimedEvent) -> None:
        """Deliver, in the trace of who stored the event."""
        carried = [claimed.traceparent.encode()] if claimed.traceparent else []
        about: dict[str, AttributeValue] = {
            "meetai.event_id": claimed.event.id,
            "meetai.event": claimed.event.name,
            "meetai.attempt": claimed.attempt,
        }
        with consuming_span(self._tracer, "event.deliver", carried, about, kind=SpanKind.PRODUCER) as span:
            if not await self._deliver(claimed):
                span.set_status(StatusCode.ERROR)

    async def _deliver(self, claimed: ClaimedEvent) -> bool:
        """One attempt; whether the event was taken, and that is known for good."""
        started = self._monotonic_seconds()
        try:
            reason = await self._outcome(claimed)
            seconds = self._monotonic_seconds() - started
            if reason is None:
                await self._outbox.mark_sent(claimed.event.id)
                self._report("sent", claimed, seconds)
                self._measures.event_delivered(claimed.source, claimed.waited_seconds + seconds)
                return True
            wait_seconds = retry_wait_seconds(claimed.attempt, self._random)
            await self._outbox.mark_failed(claimed, reason=reason, retry_after_seconds=wait_seconds)
            self._report("dead" if wait_seconds is None else "failed", claimed, seconds, reason=reason)
        except StoreAwayError:  # the lease ends by itself; sending again is harmless, the id is the same
            log.warning("event_outcome_not_stored", event_id=claimed.event.id, attempt=claimed.attempt)
        return False

    async def _outcome(self, claimed: ClaimedEvent) -> str | None:
        """Send one event: None when it was taken, else the reason in a word."""
        try:
            await self._sink.send(claimed.event, traceparent=claimed.traceparent)
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
