"""What killed jobs left in their spools, brought to the stream by the worker.

Owns finding dead spools, now and again, and delivering each by the same rules as a living job's lines. Replaying what had
already arrived does no harm: a line's id is the same, and the store keeps the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from opentelemetry.trace import Tracer

from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.ports import BatchStream, Clock, DeadSpool, DeadSpools, Meter
from meetai_agent.usecases.deliver import Delivery
from meetai_servicekit.tracing import NO_TRACING

SCAN_SECONDS: Final = 2.0
"""A killed job's last lines wait this long, beside the time that its process takes to be gone."""
AT_ONCE: Final = 4
"""Spools replayed at the same time; each may hold a full buffer in memory."""

log = structlog.get_logger()


class Replay:
    """Delivers the spools of dead jobs."""

    def __init__(
        self,
        spools: DeadSpools,
        *,
        stream: BatchStream,
        clock: Clock,
        meter: Meter,
        random: Callable[[], float],
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._spools = spools
        self._stream = stream
        self._clock = clock
        self._meter = meter
        self._random = random
        self._tracer = tracer
        self._sweeping = asyncio.Lock()

    async def run(self) -> None:
        """Look for dead spools until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(SCAN_SECONDS)

    async def sweep(self) -> int:
        """Deliver every spool that is dead now; returns how many. Cancelling leaves the undelivered where they are.

        Waits for a sweep that is under way: nobody else may claim what it delivers.
        """
        async with self._sweeping:
            claimed = await asyncio.to_thread(self._spools.claim)
            gate = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for spool in claimed:
                    group.create_task(self._deliver(spool, gate), name=f"replay-{spool.producer.id}")
            return len(claimed)

    async def _deliver(self, spool: DeadSpool, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                producer = spool.producer
                acknowledged = spool.acknowledged_seq
                buffer = TranscriptBuffer(producer, random=self._random, acknowledged_seq=acknowledged)
                buffer.recover(spool.last_seq, spool_offset=spool.first_offset)
                delivery = Delivery(
                    producer,
                    buffer,
                    stream=self._stream,
                    kept=spool,
                    clock=self._clock,
                    meter=self._meter,
                    tracer=self._tracer,
                )
                delivery.close()
                await delivery.run()
                log.info("spool_replayed", producer_id=str(producer.id), lines=buffer.high_water - acknowledged)
        except ValueError:  # what the contract refuses today it will refuse tomorrow; other spools must not wait for it
            log.exception("spool_unreplayable", producer_id=str(spool.producer.id))
            spool.set_aside()
        finally:
            spool.release()
