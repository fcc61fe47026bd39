"""`make bench BENCH=bridge`, a hundredth of it: what it measures is right, however long it takes."""

from __future__ import annotations

from pathlib import Path

from tests.bench.bridge.run import Scale, run


def test_every_row_is_measured_when_the_bench_is_small(tmp_path: Path) -> None:
    """Each side checks that every webhook was taken."""
    rows = tuple(run(Scale(repeat=1, webhooks=40, stored=40), tmp_path))
    assert len(rows) == 4
    assert all(value > 0 for row in rows for value in row.ours.values)
