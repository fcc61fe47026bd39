"""The machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` by the machine's own clocks."""

    def unix_ms(self) -> int:
        """The wall clock, Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
