"""A window that slides, and memory that doesn't grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_token.adapters import limits_in_process
from meetai_token.adapters.limits_in_process import InProcessLimits
from meetai_token.domain.limits import WINDOW_SECONDS, Quota

FIVE = Quota("person", 5)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def used_up(limits: InProcessLimits, quota: Quota, subject: str) -> int:
    """How many requests are let through now."""
    count = 0
    while await limits.take(quota, subject) is None:
        count += 1
    return count


async def test_window_slides_when_time_goes_on() -> None:
    """Half a minute into the next one, half of the last minute's count still stands."""
    clock = Clock()
    limits = InProcessLimits(now=clock)
    assert await used_up(limits, FIVE, "ann") == 5
    clock.seconds = WINDOW_SECONDS
    assert await used_up(limits, FIVE, "ann") == 0
    clock.seconds = WINDOW_SECONDS * 1.5
    assert await used_up(limits, FIVE, "ann") == 3
    clock.seconds = WINDOW_SECONDS * 10
    assert await used_up(limits, FIVE, "ann") == 5


@given(
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 8)), max_size=12),
    per_minute=st.integers(1, 6),
)
async def test_wait_is_as_told_when_requests_come_at_any_time(steps: list[tuple[float, int]], per_minute: int) -> None:
    """Whenever, and however many: who waits as long as they were told gets in, and the count never goes beyond the quota."""
    clock = Clock()
    limits, quota = InProcessLimits(now=clock), Quota("person", per_minute)
    for pause, requests in steps:
        clock.seconds += pause
        for _ in range(requests):
            wait = await limits.take(quota, "ann")
            if wait is not None:
                assert 0 <= wait <= 2 * WINDOW_SECONDS
                clock.seconds += wait + 1e-6
                assert await limits.take(quota, "ann") is None
    assert limits._current.get(("person", "ann"), 0) <= per_minute


async def test_memory_stays_when_there_are_many_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newcomers beyond the bound share one count; those who were known keep their own."""
    monkeypatch.setattr(limits_in_process, "MAX_SUBJECTS", 10)
    clock = Clock()
    limits = InProcessLimits(now=clock)
    assert await limits.take(FIVE, "ann") is None
    let_in = [await limits.take(FIVE, f"stranger {number}") is None for number in range(100)]
    assert sum(let_in) == 9 + 5
    assert len(limits._current) == 11
    assert await used_up(limits, FIVE, "ann") == 4
    clock.seconds = WINDOW_SECONDS * 2
    assert await limits.take(FIVE, "stranger 99") is None
