"""How long to wait before trying again. Pure: the caller sleeps and brings the randomness."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Backoff(Struct, frozen=True):
    """Exponential backoff with full jitter above a floor (AWS Architecture Blog, "Exponential Backoff And Jitter").

    Attributes:
        first_seconds: The longest first wait.
        limit_seconds: No wait is longer.
        factor: Each wait may be this many times the one before.
        floor: The share of a wait that is not random, so that a retry is never immediate.
    """

    first_seconds: float
    limit_seconds: float
    factor: float = 2.0
    floor: float = 0.5

    def wait_seconds(self, attempt: int, random: Callable[[], float]) -> float:
        """The wait after failed attempt number `attempt`, from 1. `random` gives [0, 1)."""
        exponent = min(attempt - 1, 64)
        longest = min(self.limit_seconds, self.first_seconds * self.factor**exponent)
        return longest * (self.floor + (1 - self.floor) * random())
