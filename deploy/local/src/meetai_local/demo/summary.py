"""What the example made of the meeting, on the screen: a few lines of it.

Owns the look. Must not compute anything.
"""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from meetai_contracts.summary import StoredSummary

SHOWN: Final = 3
"""Of each kind; the rest is counted."""


def print_summary(console: Console, summary: StoredSummary | None) -> None:
    """Print it, or that there is none."""
    console.print()
    written_by = f", written by {summary.written_by}" if summary else ""
    console.rule(f"[bold]The summary{written_by}", align="left")
    if summary is None:
        console.print("  none was written", style="dim")
        return
    console.print(Text(f"  {summary.overview}"))
    _print_some(console, "decided", summary.decisions)
    _print_some(
        console,
        "to do",
        tuple(f"{item.owner}: {item.text}" if item.owner else item.text for item in summary.action_items),
    )
    _print_some(console, "notes", tuple(note.text for note in summary.notes))


def _print_some(console: Console, kind: str, texts: tuple[str, ...]) -> None:
    for text in texts[:SHOWN]:
        console.print(Text.assemble((f"  {kind:8}", "dim"), text))
    if len(texts) > SHOWN:
        console.print(Text(f"  {'':8}and {len(texts) - SHOWN} more", "dim"))
