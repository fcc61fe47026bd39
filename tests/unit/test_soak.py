"""What `make soak` calls flat."""

from __future__ import annotations

from tests.soak.memory import growth_of


def test_a_part_is_flat_when_it_grew_only_while_it_warmed_up() -> None:
    """Caches fill at first."""
    growth = growth_of("agent", [100 + min(count, 40) * 2.0 for count in range(100)])
    assert (growth.warm_mb, growth.end_mb) == (180.0, 180.0)
    assert growth.is_flat


def test_a_part_has_grown_when_it_does_not_stop() -> None:
    """However slowly against its size."""
    assert not growth_of("agent", [200 + count * 0.5 for count in range(100)]).is_flat


def test_a_part_is_flat_when_it_goes_up_and_down() -> None:
    """One high sample is none."""
    assert growth_of("agent", [200.0 + (60 if count % 9 == 0 else 0) for count in range(100)]).is_flat
