"""Speech whose words are known exactly, for servers that stand in for a recogniser: they know the audio when they get it.

A stand-in looks up where in the reference the audio that it received is, so a sample that was lost, doubled or sent out of
place shows in its words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

RATE = 16_000
BYTES_A_SECOND = RATE * 2
_PROBE_BYTES = 640


class Word(NamedTuple):
    """A word and where it is in the audio, seconds."""

    text: str
    start: float
    end: float


class SpokenReference:
    """Recordings with pauses between them; each recording's words are spread evenly over it.

    Args:
        recordings: 16 kHz mono PCM and what is said in it.
        pause_seconds: Before each, and after the last. It holds faint noise, so that no place in the audio is like another.
    """

    def __init__(self, recordings: Sequence[tuple[bytes, str]], *, pause_seconds: float = 1.5) -> None:
        noise = random.Random(5)
        self.words: list[Word] = []
        self.spans: list[tuple[float, float]] = []
        pcm = bytearray()
        for audio, text in recordings:
            pcm += _faint(noise, pause_seconds)
            begin = len(pcm) / BYTES_A_SECOND
            pcm += audio
            end = len(pcm) / BYTES_A_SECOND
            self.spans.append((begin, end))
            texts = text.split()
            step = (end - begin) / len(texts)
            self.words += [Word(t, begin + i * step, begin + (i + 1) * step) for i, t in enumerate(texts)]
        self.pcm = bytes(pcm + _faint(noise, pause_seconds))

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(word.text for word in self.words)

    def words_in(self, audio: bytes) -> list[Word]:
        """The words whose middle is in this audio, with seconds counted from its start."""
        at = self.pcm.find(audio[:_PROBE_BYTES]) if len(audio) >= _PROBE_BYTES else -1
        if at < 0:
            return []
        first, last = at / BYTES_A_SECOND, (at + len(audio)) / BYTES_A_SECOND
        inside = [word for word in self.words if first <= (word.start + word.end) / 2 <= last]
        return [Word(w.text, max(0.0, w.start - first), min(w.end, last) - first) for w in inside]


def _faint(noise: random.Random, seconds: float) -> bytes:
    return b"".join(noise.randint(-3, 3).to_bytes(2, "little", signed=True) for _ in range(int(seconds * RATE)))
