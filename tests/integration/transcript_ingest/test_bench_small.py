"""`make bench`, a thousandth of it: what it measures is right, however long it takes."""

from __future__ import annotations

from pathlib import Path

from tests.bench.comparing import Report, shown
from tests.bench.ingest.run import Scale, run


def test_every_row_is_measured_and_every_line_stored_when_the_bench_is_small(tmp_path: Path) -> None:
    """Each side checks what it stored: a line that is missing or doubled fails here."""
    scale = Scale(repeat=1, lines=2_000, rows=5_000, messages=20, appends=2, paced_seconds=0.2, meeting_lines=500)
    rows = tuple(run(scale, tmp_path))
    assert len(rows) == 13
    assert all(value > 0 for row in rows for value in row.ours.values)
    assert all(row.title in shown(Report("here", "now", rows)) for row in rows)
