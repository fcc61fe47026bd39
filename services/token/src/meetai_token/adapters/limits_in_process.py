"""Requests counted in this process's memory: for one replica, and for while Redis is away.

Written out because `limits` keeps its memory by looking through all keys at every request, which is what somebody who attacks
wants it to do. The counting is the same, a sliding window counter: the last minute's count weighted by how much of it is still
in the window, and this minute's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from meetai_token.domain.limits import WINDOW_SECONDS, Quota

MAX_SUBJECTS: Final = 100_000
"""About 20 MB. Further newcomers share one count for each kind until the minute is over."""
_EVERYBODY_ELSE: Final = ""

_Counts = dict[tuple[str, str], int]


class InProcessLimits:
    """Counts of two minutes."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        """Take a monotonic clock, in seconds."""
        self._now = now
        self._minute = 0
        self._current: _Counts = {}
        self._previous: _Counts = {}

    async def take(self, quota: Quota, subject: str) -> float | None:
        """Count one request; None if it is within the quota, else seconds until one would be, and it isn't counted."""
        elapsed = self._slide()
        key = (quota.name, subject)
        if key not in self._current and len(self._current) >= MAX_SUBJECTS:
            key = (quota.name, _EVERYBODY_ELSE)
        before, count = self._previous.get(key, 0), self._current.get(key, 0)
        if before * (1 - elapsed / WINDOW_SECONDS) + count < quota.per_minute:
            self._current[key] = count + 1
            return None
        if count >= quota.per_minute:
            return WINDOW_SECONDS - elapsed
        return WINDOW_SECONDS * (1 - (quota.per_minute - count) / before) - elapsed

    def _slide(self) -> float:
        """Seconds of this minute that have gone."""
        minute, elapsed = divmod(self._now(), WINDOW_SECONDS)
        if minute != self._minute:
            self._previous = self._current if minute == self._minute + 1 else {}
            self._current, self._minute = {}, int(minute)
        return elapsed
