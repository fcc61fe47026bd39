"""`make bench BENCH=agent` in small: its figures say nothing here, but every caption must arrive on both channels."""

from __future__ import annotations

from pathlib import Path

from tests.bench.agent.run import Scale, run


def test_the_bench_runs_and_every_caption_arrives_when_it_is_small(tmp_path: Path) -> None:
    """Without the worker's part, which the other tests of this folder start."""
    rows = list(run(Scale(rounds=1, finals=5, meetings=0), tmp_path))
    assert len(rows) == 4
    assert all(row.ours.median > 0 for row in rows)
