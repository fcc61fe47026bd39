"""Memory of every part of the stack, over time.

Owns sampling and the judgement of what is flat. Must not know what the stack is doing.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct

from meetai_local import lineage

SAMPLE_SECONDS: Final = 5.0
MB: Final = 1_000_000
WARM_SHARE: Final = 0.4
"""Of the samples: caches, pools and the recogniser's arenas fill while the meeting warms up; what counts comes after."""
LEAST_SAMPLES: Final = 8
ALLOWED_SHARE: Final = 0.05
ALLOWED_MB: Final = 8.0
"""What the last quarter may have more than the first quarter after the warm-up. A leak of 100 bytes a frame would be ten times
that in half an hour: four microphones bring 20 frames a second each."""


class Growth(Struct, frozen=True):
    """One part: megabytes (PSS) after the warm-up and at the end, each the median of a quarter of what was sampled since."""

    part: str
    warm_mb: float
    end_mb: float

    @property
    def is_flat(self) -> bool:
        return self.end_mb <= self.warm_mb * (1 + ALLOWED_SHARE) + ALLOWED_MB


class MemoryLog:
    """Samples the stack in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._samples: dict[str, list[float]] = defaultdict(list)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            for part, mb in (await asyncio.to_thread(self._sample)).items():
                self._samples[part].append(mb)
            await asyncio.sleep(SAMPLE_SECONDS)

    def now_mb(self) -> float:
        """All parts together, as last sampled."""
        return sum(samples[-1] for samples in self._samples.values())

    def growths(self) -> list[Growth]:
        """Every part that was there all the time."""
        longest = max((len(samples) for samples in self._samples.values()), default=0)
        return [
            growth_of(part, samples)
            for part, samples in sorted(self._samples.items())
            if len(samples) >= max(LEAST_SAMPLES, longest - 2)
        ]

    def _sample(self) -> dict[str, float]:
        parts: dict[str, float] = defaultdict(float)
        for member in lineage.members(self._root):
            with suppress(psutil.Error):
                parts[member.part] += member.process.memory_full_info().pss / MB
        return parts


def growth_of(part: str, samples: Sequence[float]) -> Growth:
    """Compare the first quarter after the warm-up with the last."""
    warm = samples[int(len(samples) * WARM_SHARE) :]
    quarter = max(1, len(warm) // 4)
    return Growth(part, statistics.median(warm[:quarter]), statistics.median(warm[-quarter:]))
