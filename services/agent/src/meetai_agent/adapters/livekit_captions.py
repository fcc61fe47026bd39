"""Live captions in the room: as data packets for applications, and as text streams for LiveKit's stock components.

Owns the order and the bound of each channel; must not be waited for. The two share nothing but what they are given, so one that
is slow or fails leaves the other alone. A caption that the room doesn't take within its time is dropped and counted: the stored
line is not affected.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
    TOPIC_TRANSCRIPTION,
)
from msgspec import Struct
from opentelemetry.context import Context, get_current
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from meetai_agent.adapters.microphone import TRACK_SOURCES
from meetai_agent.ports import JobMeter
from meetai_contracts.codec import encode_json
from meetai_contracts.transcript import LIVE_TOPIC, LiveTranscript, Source
from meetai_servicekit.tracing import NO_TRACING

MAX_WAITING: Final = 256
SEND_SECONDS: Final = 5.0

log = structlog.get_logger()


class RoomCaptions:
    """`ports.Captions` over a room's reliable data channel: `meetai.transcript`, and beside it `lk.transcription`."""

    def __init__(self, room: rtc.Room, *, meter: JobMeter, tracer: Tracer = NO_TRACING.tracer) -> None:
        self._room = room
        self._finished = ""
        self._channels = (
            CaptionChannel(LIVE_TOPIC, self._send_packet, meter=meter, tracer=tracer),
            CaptionChannel(TOPIC_TRANSCRIPTION, self._send_text, meter=meter, tracer=tracer),
        )

    def publish(self, caption: LiveTranscript) -> None:
        """Queue a caption on both."""
        for channel in self._channels:
            channel.publish(caption)

    async def aclose(self) -> None:
        """Stop sending; what still waits is dropped, since the room is gone."""
        for channel in self._channels:
            await channel.aclose()

    async def _send_packet(self, caption: LiveTranscript) -> None:
        await self._room.local_participant.publish_data(encode_json(caption), reliable=True, topic=LIVE_TOPIC)

    async def _send_text(self, caption: LiveTranscript) -> None:
        """Send all of a segment's text as one stream, as the framework does for a recogniser (room_io/_output.py).

        A component shows the last that it got of a segment; so the second line of what was too long for one has its own.
        """
        segment = caption.segment if caption.segment != self._finished or not caption.id else caption.id
        if caption.final:
            self._finished = caption.segment
        attributes = {
            ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID: segment,
            ATTRIBUTE_TRANSCRIPTION_FINAL: "true" if caption.final else "false",
        }
        if track_sid := self._track_of(caption.speaker.identity, caption.source):
            attributes[ATTRIBUTE_TRANSCRIPTION_TRACK_ID] = track_sid
        stream = await self._room.local_participant.stream_text(
            topic=TOPIC_TRANSCRIPTION, sender_identity=caption.speaker.identity, attributes=attributes
        )
        await stream.write(caption.text)
        await stream.aclose()

    def _track_of(self, identity: str, source: Source) -> str | None:
        """The track that is being transcribed; None when its owner has left meanwhile."""
        someone: rtc.Participant | None = self._room.remote_participants.get(identity)
        if identity == self._room.local_participant.identity:
            someone = self._room.local_participant
        for publication in someone.track_publications.values() if someone else ():
            if publication.source == TRACK_SOURCES[source]:
                return publication.sid
        return None


class _Waiting(Struct, frozen=True, gc=False):
    """A caption in the queue: since when, by the monotonic clock and in Unix nanoseconds, and the span that brought it."""

    caption: LiveTranscript
    since: float
    since_ns: int
    context: Context


class CaptionChannel:
    """Sends captions one after another, as fast as the room takes them. When 256 wait the oldest interim goes first."""

    def __init__(
        self,
        topic: str,
        send: Callable[[LiveTranscript], Awaitable[None]],
        *,
        meter: JobMeter,
        monotonic: Callable[[], float] = time.monotonic,
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._topic = topic
        self._send = send
        self._meter = meter
        self._monotonic = monotonic
        self._tracer = tracer
        self._waiting: deque[_Waiting] = deque()
        self._added = asyncio.Event()
        self._sending = asyncio.create_task(self._send_all(), name=f"captions-{topic}")

    def publish(self, caption: LiveTranscript) -> None:
        """Queue a caption; never waits."""
        if len(self._waiting) >= MAX_WAITING:
            oldest = next((at for at, waiting in enumerate(self._waiting) if not waiting.caption.final), 0)
            self._drop(self._waiting[oldest].caption)
            del self._waiting[oldest]
        self._waiting.append(_Waiting(caption, self._monotonic(), time.time_ns(), get_current()))
        self._added.set()

    async def aclose(self) -> None:
        """Stop sending."""
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_all(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                waiting = self._waiting.popleft()
                if not waiting.caption.final:
                    await self._send_one(waiting)
                    continue
                about = {"meetai.topic": self._topic, "meetai.line_id": waiting.caption.id or ""}
                with self._tracer.start_as_current_span(
                    "caption.publish",
                    context=waiting.context,
                    kind=SpanKind.PRODUCER,
                    attributes=about,
                    start_time=waiting.since_ns,
                    record_exception=False,
                    set_status_on_exception=False,
                ) as span:
                    if not await self._send_one(waiting):
                        span.set_status(StatusCode.ERROR)

    async def _send_one(self, waiting: _Waiting) -> bool:
        """Send it; whether the room took it."""
        caption = waiting.caption
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(caption)
        except Exception as error:
            self._drop(caption)
            log.warning("caption_not_sent", topic=self._topic, line_id=caption.id, exc_info=error)
            return False
        if caption.final:
            self._meter.caption_published(self._topic, self._monotonic() - waiting.since)
        return True

    def _drop(self, caption: LiveTranscript) -> None:
        self._meter.caption_dropped()
        if caption.final:  # whoever measures how long people wait must see it
            self._meter.caption_published(self._topic, SEND_SECONDS)
