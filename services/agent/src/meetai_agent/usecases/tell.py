"""Telling what was decided: every event to the stream, with the same bytes until it is confirmed.

Owns the order of things when there is something to tell: on disk first, then to the stream, then off the disk. Between a
person's yes and the disk nothing waits, because a process can be killed at any await. Whatever a job can't tell before it
ends, the worker tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct

from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.ports.approving import DecisionMeter, EventStream, Outbox
from meetai_contracts.codec import encode_json
from meetai_contracts.events import DomainEvent
from meetai_servicekit.backoff import Backoff

MAX_UNTOLD: Final = 64
"""Events waiting for the stream; beyond it no new proposal is taken, so that no decision finds no room."""
ATTEMPT_SECONDS: Final = 3.0
"""Above the adapter's own 2 s socket timeout, so that this one only catches what that misses."""
FINAL_SECONDS: Final = 5.0
"""At a job's end; what isn't told by then is the worker's."""
RETRY: Final = Backoff(first_seconds=0.2, limit_seconds=3.0)

log = structlog.get_logger()


class _Untold(Struct, frozen=True):
    key: UUID
    id: str
    data: bytes


class Telling:
    """What one job has to tell."""

    def __init__(
        self, outbox: Outbox, *, stream: EventStream, meter: DecisionMeter, random: Callable[[], float]
    ) -> None:
        self._outbox = outbox
        self._stream = stream
        self._meter = meter
        self._random = random
        self._untold: deque[_Untold] = deque()
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether as much waits for the stream as may."""
        return len(self._untold) >= MAX_UNTOLD

    def start(self) -> None:
        """Tell what there is to tell, from now on."""
        self._running = asyncio.create_task(self._run(), name="telling")

    def promise(self, key: UUID, event: DomainEvent) -> None:
        """Leave word of what is true unless something else is told under this key: the worker tells it, in its time."""
        self._keep(key, event)

    def tell(self, key: UUID, event: DomainEvent) -> None:
        """Tell this, in place of what was promised. Never waits, never raises.

        It is on disk when this returns. Where the disk doesn't take it nothing is: what was promised has become untrue.
        """
        data = self._keep(key, event)
        self._untold.append(_Untold(key, event.id, data))
        self._changed.set()

    async def close(self) -> None:
        """Tell what can be told in a few seconds, and leave the rest to the worker."""
        if self._running is not None:
            try:
                async with asyncio.timeout(FINAL_SECONDS):
                    while self._untold:
                        self._changed.clear()
                        await self._changed.wait()
            except TimeoutError:
                log.error("events_left_in_outbox", events=len(self._untold))  # noqa: TRY400 - no stack needed
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._outbox.release()

    def _keep(self, key: UUID, event: DomainEvent) -> bytes:
        data = encode_json(event)
        if not self._outbox.keep(key, data):
            self._meter.outbox_failed()
            self._outbox.drop(key)
        return data

    async def _run(self) -> None:
        failures = 0
        while True:
            if not self._untold:
                self._changed.clear()
                await self._changed.wait()
                continue
            if await self._attempt(self._untold[0]):
                failures = 0
                self._untold.popleft()
                self._changed.set()
            else:
                failures += 1
                await asyncio.sleep(RETRY.wait_seconds(failures, self._random))

    async def _attempt(self, untold: _Untold) -> bool:
        if not await append_event(self._stream, untold.data, event_id=untold.id, meter=self._meter):
            return False
        self._outbox.drop(untold.key)
        return True


async def append_event(stream: EventStream, event: bytes, *, event_id: str, meter: DecisionMeter) -> bool:
    """One attempt to tell one event. Returns whether the stream has confirmed it."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await stream.append(event)
    except Exception as error:  # whatever a driver raises: it isn't confirmed, and telling must go on
        if not isinstance(error, StreamUnavailableError | TimeoutError):
            log.exception("event_stream_failed", event_id=event_id)
        meter.telling_failed()
        return False
    meter.event_told()
    log.info("event_told", event_id=event_id, bytes=len(event))
    return True
