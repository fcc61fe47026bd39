"""A participant's microphone, or the sound of the screen that they share, as 16 kHz mono frames.

Owns the SDK's stream. It follows the participant, not a track: it goes on through mute (as silence), unpublish (as nothing)
and republish, and ends when the participant leaves (FACTS, livekit-agents) or `stop` is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from livekit import rtc

from meetai_contracts.transcript import Source

SAMPLE_RATE_HZ: Final = 16_000
TRACK_SOURCES: Final[Mapping[Source, rtc.TrackSource.ValueType]] = {
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
FRAME_MS: Final = 50
"""Ten microphones cost 15 % of a core with frames of 50 ms and 22 % with the SDK's own 10 ms, measured through a real SFU."""
MAX_QUEUED_FRAMES: Final = 600
"""30 s: more than this behind, and the oldest are dropped by the SDK."""
STOP_SECONDS: Final = 2.0


class ParticipantMicrophone:
    """`ports.Microphone` over `rtc.AudioStream`."""

    def __init__(self, participant: rtc.RemoteParticipant, source: Source) -> None:
        self._stream = rtc.AudioStream.from_participant(
            participant=participant,
            track_source=TRACK_SOURCES[source],
            sample_rate=SAMPLE_RATE_HZ,
            num_channels=1,
            frame_size_ms=FRAME_MS,
            capacity=MAX_QUEUED_FRAMES,
        )
        self._closing: asyncio.Task[None] | None = None

    async def frames(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Frames until the participant leaves or `stop` is called."""
        try:
            async for event in self._stream:
                yield event.frame
            # The SDK's iterator ends as soon as its source has, even if frames that came just before are still queued.
            for queued in tuple(self._stream._queue._queue):  # noqa: SLF001 - there is no public way to them
                if queued is not None:
                    yield queued.frame
        finally:
            await self._close()

    def stop(self) -> None:
        """End the frames soon."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="microphone-stop")

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._stream.aclose()
        except TimeoutError:
            return
