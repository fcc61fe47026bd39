"""The report on one screen: the transcript as stored, and every promise with its measure and its limit.

Owns the look, with and without a terminal. Must not compute anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from meetai_local.demo.captions import spoken_line
from meetai_local.demo.verdict import Verdict

PLAIN_WIDTH_COLUMNS = 110


def demo_console() -> Console:
    """A console as wide as the terminal, or wide enough for a line of speech where there is none; it can be saved."""
    console = Console(highlight=False, record=True)
    return console if console.is_terminal else Console(highlight=False, record=True, width=PLAIN_WIDTH_COLUMNS)


def print_report(console: Console, verdict: Verdict, *, started_ms: int, colours: Mapping[str, str]) -> None:
    """Print the whole report.

    Args:
        console: Where to.
        verdict: What to show.
        started_ms: What times in the transcript count from, Unix milliseconds.
        colours: Of each speaker, by identity.
    """
    console.print()
    console.rule("[bold]The transcript, as stored", align="left")
    for line in verdict.lines:
        console.print(spoken_line(line.started_ms - started_ms, line.speaker, line.text, colours))
    console.print()
    console.rule("[bold]What was promised", align="left")
    console.print(_checks(verdict))
    console.print()
    if verdict.failed:
        console.print(f"[bold red]✗ failed: {', '.join(verdict.failed)}")
    else:
        console.print("[bold green]✓ every word said is stored, once, under the right name, and the event is out")


def _checks(verdict: Verdict) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in verdict.checks:
        mark = Text("  ✓", "bold green") if check.passed else Text("  ✗", "bold red")
        table.add_row(mark, Text(check.name), Text(check.measured), Text(check.limit, "dim"))
    return table
