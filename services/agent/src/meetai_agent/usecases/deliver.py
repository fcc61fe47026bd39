"""Getting a producer's lines into the stream, for as long as it takes.

Owns the loop that does what the buffer says. One `Delivery` runs for each job, and one for each spool that is replayed.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from opentelemetry.trace import SpanContext, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from meetai_agent.domain.batches import Finished, FrozenBatch, Producer, ReadSpool, Send, Wait
from meetai_agent.domain.buffer import BACKLOG_BYTES, BACKLOG_LINES, TranscriptBuffer
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.ports import BatchStream, Clock, KeptLines, Meter
from meetai_contracts.transcript import TranscriptLine
from meetai_servicekit.tracing import NO_TRACING, current_sender, gathering_span

MAX_SPANS_KEPT: Final = 1024
"""Of lines that wait for their flush: more than a minute of a lively meeting. Older ones are flushed in a trace of their own."""
ATTEMPT_SECONDS: Final = 3.0
"""Above the adapter's own 2 s socket timeout, so that this one only catches what that misses."""

log = structlog.get_logger()


class Delivery:
    """Sends what the buffer holds, batch by batch, and tells the spool what need not be kept any more."""

    def __init__(
        self,
        producer: Producer,
        buffer: TranscriptBuffer,
        *,
        stream: BatchStream,
        kept: KeptLines,
        clock: Clock,
        meter: Meter,
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._producer = producer
        self._buffer = buffer
        self._stream = stream
        self._kept = kept
        self._clock = clock
        self._meter = meter
        self._tracer = tracer
        self._spans: dict[int, SpanContext] = {}
        self._woken = asyncio.Event()

    def add(self, line: TranscriptLine, spool_offset: int | None) -> None:
        """Take a line that the spool has at `spool_offset`; never waits. Its flush goes on with the running span."""
        if (span := current_sender()) is not None:
            self._spans[line.seq] = span
            if len(self._spans) > MAX_SPANS_KEPT:
                del self._spans[next(iter(self._spans))]
        if not self._buffer.add(line, now=self._clock.monotonic(), spool_offset=spool_offset):
            self._meter.line_lost()
            log.error("line_lost", producer_id=str(line.producer_id), seq=line.seq)
        self._woken.set()

    def lose(self, seq: int) -> None:
        """Name a number lost that was given to what has no line; never waits."""
        self._buffer.lose(seq)
        self._woken.set()

    def close(self) -> None:
        """No more lines come: `run` returns once the stream has them all, and the `close` marker."""
        self._buffer.close()
        self._woken.set()

    async def run(self) -> None:
        """Deliver until closed and done."""
        while True:
            match self._buffer.next(self._clock.monotonic()):
                case Send(batch):
                    spans = self._spans_of(batch)
                    with gathering_span(self._tracer, "transcript.flush", spans, self._about(batch)) as span:
                        if not await self._attempt(batch):
                            span.set_status(StatusCode.ERROR)
                case ReadSpool(first_seq, last_seq, offset):
                    lines, rest = self._kept.read(
                        first_seq, last_seq, offset, max_lines=BACKLOG_LINES, max_bytes=BACKLOG_BYTES
                    )
                    self._buffer.refill(lines, rest)
                case Wait(seconds):
                    await self._wait(seconds)
                case Finished():
                    self._kept.remove()
                    return

    def _spans_of(self, batch: FrozenBatch) -> list[SpanContext]:
        if not self._spans or batch.kind != "lines":
            return []
        return [self._spans[seq] for seq in range(batch.first_seq, batch.last_seq + 1) if seq in self._spans]

    def _about(self, batch: FrozenBatch) -> dict[str, AttributeValue]:
        return {
            "meetai.producer_id": str(self._producer.id),
            "meetai.room_sid": self._producer.room_sid,
            "meetai.batch_kind": batch.kind,
            "meetai.first_seq": batch.first_seq,
            "meetai.last_seq": batch.last_seq,
            "meetai.batch_bytes": len(batch.data),
        }

    async def _attempt(self, batch: FrozenBatch) -> bool:
        """Send once; whether it was confirmed."""
        was_open = self._buffer.circuit_open
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._stream.append(self._producer.meeting_id, batch.data)
        except Exception as error:  # whatever a driver raises: the batch isn't confirmed, and delivery must go on
            if not isinstance(error, StreamUnavailableError | TimeoutError):
                log.exception("stream_failed", producer_id=str(self._producer.id))
            self._buffer.failed(self._clock.monotonic())
            self._meter.attempt_failed()
            if self._buffer.circuit_open and not was_open:
                log.exception(
                    "stream_unavailable",
                    producer_id=str(self._producer.id),
                    held=self._buffer.ram_lines,
                )
            return False
        seq = self._buffer.acknowledged()
        if seq:
            self._kept.acknowledge(seq)
        for seq in range(batch.first_seq, batch.last_seq + 1) if self._spans else ():
            self._spans.pop(seq, None)
        self._meter.batch_sent(batch.kind)
        log.info(
            "batch_sent",
            producer_id=str(self._producer.id),
            kind=batch.kind,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            bytes=len(batch.data),
            recovered=was_open,
        )
        return True

    async def _wait(self, seconds: float | None) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
