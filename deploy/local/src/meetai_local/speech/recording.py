"""Speech as samples: 16 kHz, mono, 16-bit little-endian PCM.

Owns reading a WAV of this package and cutting silence off its ends. Must not resample: a WAV in another format is an
error of whoever made it.
"""

from __future__ import annotations

import array
import sys
import wave
from importlib import resources
from typing import Final

from msgspec import Struct

SAMPLE_RATE_HZ: Final = 16_000
SAMPLE_BYTES: Final = 2

_QUIET_LEVEL: Final = 200  # of 32,767: flite's silence stays below 100, its softest final consonants above this
_STEP_SAMPLES: Final = 160  # 10 ms


class Recording(Struct, frozen=True):
    """One line as it is said, without silence before or after, so that its last sample is the end of speech."""

    pcm: bytes

    @property
    def duration_seconds(self) -> float:
        """How long saying it takes."""
        return len(self.pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ


def load_recording(wav: str) -> Recording:
    """Read a WAV that ships with this package.

    Raises:
        FileNotFoundError: no such recording.
        ValueError: not 16 kHz, mono, 16 bits.
    """
    with (
        resources.files("meetai_local.speech").joinpath(wav).open("rb") as file,
        wave.open(file, "rb") as reader,
    ):
        found = (reader.getframerate(), reader.getnchannels(), reader.getsampwidth())
        if found != (SAMPLE_RATE_HZ, 1, SAMPLE_BYTES):
            raise ValueError(
                f"{wav} is {found} (Hz, channels, bytes a sample), not {(SAMPLE_RATE_HZ, 1, SAMPLE_BYTES)}"
            )
        return Recording(pcm=reader.readframes(reader.getnframes()))


def trim_silence(pcm: bytes) -> bytes:
    """The samples from the first audible 10 ms to the last, whole steps of 10 ms; empty if all is silence."""
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    loud = [
        start
        for start in range(0, len(samples) - _STEP_SAMPLES + 1, _STEP_SAMPLES)
        if max(map(abs, samples[start : start + _STEP_SAMPLES])) > _QUIET_LEVEL
    ]
    if not loud:
        return b""
    return pcm[loud[0] * SAMPLE_BYTES : (loud[-1] + _STEP_SAMPLES) * SAMPLE_BYTES]
