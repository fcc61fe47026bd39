"""Waits grow, stay within their bounds, and are never nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_servicekit.backoff import Backoff


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 5.0), (1_000_000, 5.0)])
def test_wait_doubles_up_to_its_limit_when_attempts_fail(attempt: int, longest: float) -> None:
    """From half of the longest wait to all of it."""
    backoff = Backoff(first_seconds=0.5, limit_seconds=5.0)
    assert backoff.wait_seconds(attempt, lambda: 0.0) == longest / 2
    assert backoff.wait_seconds(attempt, lambda: 1.0) == longest


@given(
    first=st.floats(0.001, 10),
    limit=st.floats(0.001, 600),
    factor=st.floats(1, 10),
    floor=st.floats(0, 1),
    attempt=st.integers(1, 10**9),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_wait_is_within_its_bounds_when_anything_is_set(
    first: float, limit: float, factor: float, floor: float, attempt: int, chance: float
) -> None:
    """Never above the limit, never below the floor's share of the first wait."""
    backoff = Backoff(first_seconds=first, limit_seconds=limit, factor=factor, floor=floor)
    wait = backoff.wait_seconds(attempt, lambda: chance)
    assert min(first, limit) * floor <= wait * (1 + 1e-9)
    assert wait <= limit * (1 + 1e-9)
