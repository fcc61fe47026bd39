"""`python -m tests.bench [ingest] …`: measure, print a table, and write it as JSON beside."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.bench.comparing import Report, Row, machine, save, shown
from tests.bench.ingest.run import Scale, run

FOLDER = Path(__file__).parents[2] / ".local" / "bench"


def main() -> None:
    """Exit 0 whatever the figures are; anything else means that something is broken."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, beside peers in the same run.")
    parser.add_argument("bench", choices=["ingest"], help="what to measure")
    parser.add_argument("--repeat", type=int, default=Scale().repeat, help="times that each pair is measured")
    parser.add_argument("--lines", type=int, default=Scale().lines, help="lines of a prefilled stream")
    parser.add_argument("--rows", type=int, default=Scale().rows, help="rows of the table that isn't empty (5000000)")
    arguments = parser.parse_args()
    scale = Scale(repeat=arguments.repeat, lines=arguments.lines, rows=arguments.rows)
    started_on, started = machine(), time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for row in run(scale, FOLDER):
        rows.append(row)
        sys.stderr.write(f"{time.monotonic() - started:5.0f} s  {row.title}: {row.judged:.3g}\n")
    conditions = f"{scale.lines:,} lines, each pair {scale.repeat} times"
    report = Report(started_on, conditions, tuple(rows))
    sys.stdout.write(f"\n{shown(report)}\n\n{save(report, FOLDER, arguments.bench)}\n")


if __name__ == "__main__":
    main()
