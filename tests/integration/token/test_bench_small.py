"""`make bench BENCH=token` in small: its figures say nothing here, but every request to every side must come to a token."""

from __future__ import annotations

from pathlib import Path

from tests.bench.token.run import Scale, run


def test_every_side_gives_tokens_when_the_bench_is_small(node: str, tmp_path: Path) -> None:
    """Six servers, ours and both peers with and without rooms; a request that failed on any side fails here."""
    rows = list(run(Scale(rounds=1, seconds=1), tmp_path))
    assert len(rows) == 8
    assert all(row.ours.median > 0 and row.peer is not None and row.peer.median > 0 for row in rows)
