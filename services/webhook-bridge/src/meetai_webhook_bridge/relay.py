"""The loop that drives delivery: at once when a webhook was stored, and every second for retries and what others left.

Owns when to look. Must not know what is sent or how failures are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from meetai_servicekit.backoff import Backoff
from meetai_servicekit.health import NotReadyError
from meetai_webhook_bridge.domain.errors import StoreAwayError
from meetai_webhook_bridge.ports import Measures, Outbox
from meetai_webhook_bridge.usecases.deliver import DeliverDueEvents

POLL_SECONDS: Final = 1.0
"""One indexed query a second and replica; the first retry of an event is due after 0.5-1 s."""
STORE_AWAY: Final = Backoff(first_seconds=0.5, limit_seconds=5.0)
BACKLOG_SECONDS: Final = 5.0
STALLED_SECONDS: Final = 30.0
"""A turn takes 7 s at most: a claim 1.5 s, and the wait, 1 s or up to 5 s while the store is away."""

log = structlog.get_logger()


class Relay:
    """Delivers as long as it runs; cancelled, it first finishes what it is sending."""

    def __init__(
        self,
        deliver_due: DeliverDueEvents,
        *,
        random: Callable[[], float],
        monotonic_seconds: Callable[[], float],
    ) -> None:
        self._deliver_due = deliver_due
        self._random = random
        self._monotonic_seconds = monotonic_seconds
        self._woken = asyncio.Event()
        self._last_turn_seconds: float | None = None

    def wake(self) -> None:
        """Say that something is due now."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled; then finish what is being sent rather than cut it off and repeat it."""
        failures = 0
        try:
            while True:
                self._last_turn_seconds = self._monotonic_seconds()
                self._woken.clear()
                try:
                    begun = await self._begin()
                except StoreAwayError as error:
                    failures += 1
                    log.warning("relay_store_away", failures=failures, reason=str(error))
                    await asyncio.sleep(STORE_AWAY.wait_seconds(failures, self._random))
                    continue
                failures = 0
                if begun == 0:
                    await self._wait()
        finally:
            await self._deliver_due.finish()

    async def check_running(self) -> None:
        """Readiness.

        Raises:
            NotReadyError: the loop hasn't come round for long.
        """
        last = self._last_turn_seconds
        if last is None or self._monotonic_seconds() - last > STALLED_SECONDS:
            raise NotReadyError("the relay has stalled")

    async def _begin(self) -> int:
        """Claim and begin. What was claimed is begun also at shutdown, or it would have to wait for its lease to end."""
        turn = asyncio.create_task(self._deliver_due.begin(self.wake), name="relay turn")
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            await asyncio.gather(turn, return_exceptions=True)
            raise

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return


async def watch_backlog(
    outbox: Outbox, measures: Measures, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Keep the gauges of what is undelivered current, until cancelled."""
    while True:
        try:
            measures.backlog_seen(await outbox.backlog())
        except StoreAwayError as error:
            log.warning("backlog_unknown", reason=str(error))
        await sleep(BACKLOG_SECONDS)
