"""Live captions as data packets in the room.

Owns their order and their bound; must not be waited for. A caption that the room doesn't take within its time is dropped
and counted: the stored line is not affected.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog
from livekit import rtc

from meetai_agent.ports import Meter
from meetai_contracts.codec import encode_json
from meetai_contracts.transcript import LIVE_TOPIC, LiveTranscript

MAX_WAITING: Final = 256
SEND_SECONDS: Final = 5.0

log = structlog.get_logger()


class RoomCaptions:
    """`ports.Captions` over a room's reliable data channel."""

    def __init__(self, room: rtc.Room, *, meter: Meter) -> None:
        self._room = room
        self._meter = meter
        self._waiting: deque[LiveTranscript] = deque()
        self._added = asyncio.Event()
        self._sending = asyncio.create_task(self._send_all(), name="captions")

    def publish(self, caption: LiveTranscript) -> None:
        """Queue a caption; the oldest goes when 256 wait."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._meter.caption_dropped()
        self._waiting.append(caption)
        self._added.set()

    async def aclose(self) -> None:
        """Stop sending; what still waits is dropped, since the room is gone."""
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_all(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                await self._send(self._waiting.popleft())

    async def _send(self, caption: LiveTranscript) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._room.local_participant.publish_data(encode_json(caption), reliable=True, topic=LIVE_TOPIC)
        except Exception as error:
            self._meter.caption_dropped()
            log.warning("caption_not_sent", line_id=caption.id, exc_info=error)
