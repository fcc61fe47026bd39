"""A participant's microphone, as 16 kHz mono frames.

Owns the SDK's stream. It follows the participant, not a track: it goes on through mute, unpublish and republish, and ends
when the participant leaves (FACTS, livekit-agents) or `stop` is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from livekit import rtc

SAMPLE_RATE_HZ: Final = 16_000
MAX_QUEUED_FRAMES: Final = 3_000
"""30 s of 10 ms frames: more than this behind, and the oldest are dropped by the SDK."""
STOP_SECONDS: Final = 2.0


class ParticipantMicrophone:
    """`ports.Microphone` over `rtc.AudioStream`."""

    def __init__(self, participant: rtc.RemoteParticipant) -> None:
        self._stream = rtc.AudioStream.from_participant(
            participant=participant,
            track_source=rtc.TrackSource.SOURCE_MICROPHONE,
            sample_rate=SAMPLE_RATE_HZ,
            num_channels=1,
            capacity=MAX_QUEUED_FRAMES,
        )
        self._stopped = asyncio.Event()

    async def frames(self) -> AsyncIterator[rtc.AudioFrame]:
        """Frames until the participant leaves or `stop` is called."""
        stopping = asyncio.create_task(self._stopped.wait(), name="microphone-stop")
        try:
            while not self._stopped.is_set():
                receiving = asyncio.ensure_future(anext(self._stream, None))
                await asyncio.wait([receiving, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    receiving.cancel()
                    return
                event = receiving.result()
                if event is None:
                    return
                yield event.frame
        finally:
            stopping.cancel()
            await self._close()

    def stop(self) -> None:
        """End the frames soon."""
        self._stopped.set()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._stream.aclose()
        except TimeoutError:
            return
