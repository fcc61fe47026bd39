"""`python -m tests.bench [agent | bridge | ingest | token] …`: measure, print a table, and write it as JSON beside."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.bench.agent import run as agent
from tests.bench.bridge import run as bridge
from tests.bench.comparing import Report, Row, machine, save, shown
from tests.bench.ingest import run as ingest
from tests.bench.token import run as token

FOLDER = Path(__file__).parents[2] / ".local" / "bench"


def main() -> None:
    """Exit 0 whatever the figures are; anything else means that something is broken."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, beside peers in the same run.")
    parser.add_argument("bench", choices=["agent", "bridge", "ingest", "token"], help="what to measure")
    parser.add_argument("--repeat", type=int, default=3, help="times that each pair is measured")
    parser.add_argument("--lines", type=int, default=ingest.Scale().lines, help="ingest: lines of a prefilled stream")
    parser.add_argument(
        "--rows", type=int, default=ingest.Scale().rows, help="ingest: rows of the table that isn't empty (5000000)"
    )
    parser.add_argument("--meetings", type=int, default=agent.Scale().meetings, help="agent: meetings at once; 0: none")
    arguments = parser.parse_args()
    started_on, started = machine(), time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.bench == "agent":
        hearing = agent.Scale(rounds=arguments.repeat, meetings=arguments.meetings)
        measured = agent.run(hearing, FOLDER)
        conditions = f"{hearing.rounds} times {hearing.finals} captions, {hearing.meetings} meetings"
    elif arguments.bench == "bridge":
        accepting = bridge.Scale(repeat=arguments.repeat)
        measured = bridge.run(accepting, FOLDER)
        conditions = f"{accepting.webhooks:,} webhooks, {accepting.stored:,} stored, each {accepting.repeat} times"
    elif arguments.bench == "token":
        asking = token.Scale(rounds=arguments.repeat)
        measured = token.run(asking, FOLDER)
        conditions = (
            f"each server on one core, {token.CONNECTIONS} connections, {asking.rounds} times {asking.seconds} s"
        )
    else:
        storing = ingest.Scale(repeat=arguments.repeat, lines=arguments.lines, rows=arguments.rows)
        measured = ingest.run(storing, FOLDER)
        conditions = f"{storing.lines:,} lines, each pair {storing.repeat} times"
    rows: list[Row] = []
    for row in measured:
        rows.append(row)
        sys.stderr.write(f"{time.monotonic() - started:5.0f} s  {row.title}: {row.judged:.3g}\n")
    report = Report(started_on, conditions, tuple(rows))
    sys.stdout.write(f"\n{shown(report)}\n\n{save(report, FOLDER, arguments.bench)}\n")


if __name__ == "__main__":
    main()
