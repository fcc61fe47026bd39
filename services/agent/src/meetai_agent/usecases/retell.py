"""What jobs that have ended left in their outboxes, told by the worker.

A decision is told as soon as its job is gone. What a job only promised, that a proposal expires, is told when its time has
come: its job was killed with the popup open, so nobody can have decided.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from meetai_agent.ports import Clock
from meetai_agent.ports.approving import DeadEvent, DeadEvents, DecisionMeter, EventStream
from meetai_agent.usecases.tell import append_event
from meetai_contracts.codec import ContractError, decode_json
from meetai_contracts.events import MAX_EVENT_BYTES, DomainEvent

SCAN_SECONDS: Final = 2.0

log = structlog.get_logger()


class Retelling:
    """Tells the events of dead jobs."""

    def __init__(self, dead: DeadEvents, *, stream: EventStream, clock: Clock, meter: DecisionMeter) -> None:
        self._dead = dead
        self._stream = stream
        self._clock = clock
        self._meter = meter
        self._sweeping = asyncio.Lock()

    async def run(self) -> None:
        """Look for dead jobs' events until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(SCAN_SECONDS)

    async def sweep(self) -> int:
        """Tell what is due now; returns how many events were. Stops at the first that the stream doesn't confirm.

        Waits for a sweep that is under way: nobody else may claim what it tells.
        """
        async with self._sweeping:
            return await self._tell_due()

    async def _tell_due(self) -> int:
        told = 0
        claimed = await asyncio.to_thread(self._dead.claim)
        try:
            for dead in claimed:
                event = _read(dead)
                if event is None or event.occurred_at.timestamp() * 1000 > self._clock.unix_ms():
                    continue
                if not await append_event(self._stream, dead.event, event_id=event.id, meter=self._meter):
                    break
                dead.drop()
                told += 1
        finally:
            for dead in claimed:
                dead.release()
        return told


def _read(dead: DeadEvent) -> DomainEvent | None:
    try:
        return decode_json(dead.event, DomainEvent, max_bytes=MAX_EVENT_BYTES)
    except ContractError:
        log.error("outbox_event_unreadable", bytes=len(dead.event))  # noqa: TRY400 - its content stays out of logs
        dead.set_aside()
        return None
