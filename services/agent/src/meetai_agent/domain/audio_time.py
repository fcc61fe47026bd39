"""Where on the wall clock a sample of audio was spoken.

A recogniser counts samples; a transcript needs Unix time. Frames arrive late and in bursts, but never early, so the
smallest difference between arrival and position seen is the truest. An unpublished microphone sends nothing (a muted one
sends silence): its position stands still while the wall clock goes on, so a large lag means that the stream paused.
"""

from __future__ import annotations

from typing import Final

PAUSE_MS: Final = 1_000
"""A lag beyond this is a pause. Jitter buffers grow to a few hundred milliseconds (NetEQ's default maximum delay)."""


class AudioClock:
    """Maps positions in one participant's audio to Unix milliseconds.

    Positions are asked for in order and soon after they were pushed; a pause splits the audio into stretches, and each
    position belongs to the last stretch that had begun by then.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._samples = 0
        self._stretches: list[_Stretch] = []

    def pushed(self, samples: int, arrived_ms: int) -> None:
        """Note that `samples` more have arrived, the last of them at `arrived_ms`."""
        first = self._samples
        self._samples += samples
        offset_ms = arrived_ms - self._position_ms(self._samples)
        if not self._stretches or offset_ms - self._stretches[-1].offset_ms > PAUSE_MS:
            self._stretches.append(_Stretch(first, offset_ms))
            del self._stretches[:-8]
        else:
            self._stretches[-1].offset_ms = min(self._stretches[-1].offset_ms, offset_ms)

    def unix_ms(self, sample: int) -> int:
        """When a sample was spoken. Before anything was pushed there is no answer.

        Raises:
            ValueError: nothing was pushed yet.
        """
        if not self._stretches:
            raise ValueError("no audio yet")
        stretch = next((s for s in reversed(self._stretches) if s.first_sample <= sample), self._stretches[0])
        return stretch.offset_ms + self._position_ms(sample)

    def _position_ms(self, sample: int) -> int:
        return sample * 1000 // self._rate_hz


class _Stretch:
    """Audio without a pause: from which sample, and wall clock minus position."""

    __slots__ = ("first_sample", "offset_ms")

    def __init__(self, first_sample: int, offset_ms: int) -> None:
        self.first_sample = first_sample
        self.offset_ms = offset_ms
