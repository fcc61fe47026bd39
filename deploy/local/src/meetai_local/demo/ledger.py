"""The meeting's ledger on the screen: when what happened to its room, and what became of its events.

Owns the look. Must not compute anything.
"""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from meetai_contracts.api import LedgerPage
from meetai_contracts.ledger import MeetingLife


def print_ledger(console: Console, life: MeetingLife, page: LedgerPage) -> None:
    """Print both, oldest first."""
    console.print()
    console.rule("[bold]The ledger", align="left")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for room in reversed(life.rooms):
        for what, when in (
            ("room announced", room.announced_at),
            ("agent joined", room.agent_joined_at),
            ("room finished", room.finished_at),
            ("end accepted", room.accepted_at),
            ("end sent", room.sent_at),
        ):
            table.add_row(_clock(when), what, room.room_sid, "", style="dim")
    for entry in reversed(page.events):
        tries = f"{entry.attempts} attempt{'' if entry.attempts == 1 else 's'}"
        table.add_row(_clock(entry.sent_at or entry.received_at), entry.name, entry.state, tries)
    console.print(table)


def _clock(when: datetime | None) -> str:
    return when.strftime("%H:%M:%S") if when else "-"
