"""Pairs of measurements, taken in turns so that whatever else the machine does hits both.

Owns repetition, medians, ratios and how they are shown. Must not know what is measured.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

Better = Literal["higher", "lower"]


class Figure(Struct, frozen=True):
    """One quantity, measured several times: `values` in the order in which they were taken."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Row(Struct, frozen=True):
    """A line of the report: ours, perhaps a peer's, perhaps a goal.

    Attributes:
        ratio: Ours over the peer's, a repetition at a time; empty without a peer.
        goal: Of the ratio's median, or of ours where there is no peer; None where the issue names none.
        better: Which side of the goal is good.
    """

    title: str
    ours: Figure
    peer: Figure | None = None
    ratio: tuple[float, ...] = ()
    goal: float | None = None
    better: Better = "higher"

    @property
    def judged(self) -> float:
        """What the goal is about."""
        return statistics.median(self.ratio) if self.ratio else self.ours.median

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.judged >= self.goal if self.better == "higher" else self.judged <= self.goal


class Report(Struct, frozen=True):
    """All rows of a run, and the machine that they were measured on."""

    machine: str
    conditions: str
    rows: tuple[Row, ...]


def alternate(repeat: int, *sides: Callable[[], float]) -> list[tuple[float, ...]]:
    """Measure every side in turn, `repeat` times over; every other round backwards. Returns a tuple of values a side."""
    values: list[list[float]] = [[] for _ in sides]
    for round_number in range(repeat):
        order = range(len(sides)) if round_number % 2 == 0 else reversed(range(len(sides)))
        for index in order:
            values[index].append(sides[index]())
    return [tuple(side) for side in values]


def compared(title: str, ours: Figure, peer: Figure, *, goal: float | None = None, better: Better = "higher") -> Row:
    """A row of two figures that were taken in turns."""
    ratio = tuple([mine / theirs for mine, theirs in zip(ours.values, peer.values, strict=True)])
    return Row(title, ours, peer, ratio, goal, better)


def machine() -> str:
    """The cores that this process may use, how busy they are, and what they are."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}, Python {platform.python_version()}"


def shown(report: Report) -> str:
    """The report as a table for people: medians, with the lowest and the highest value."""
    header = ("", "ours", "peer", "ratio", "goal", "")
    cells = [header, *[_cells(row) for row in report.rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = [
        "  ".join([text.ljust(width) for text, width in zip(line, widths, strict=True)]).rstrip() for line in cells
    ]
    lines.insert(1, "-" * max(len(line) for line in lines))
    note = "Medians [lowest, highest]; each pair was taken in turns in this run."
    return "\n".join([f"{report.machine}; {report.conditions}", "", *lines, "", note])


def save(report: Report, folder: Path, name: str) -> Path:
    """Write the report as JSON, every single value included."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return file


def _cells(row: Row) -> tuple[str, ...]:
    goal = "" if row.goal is None else f"{'≥' if row.better == 'higher' else '≤'} {row.goal:,g}"
    peer = "" if row.peer is None else f"{row.peer.name} {_figure(row.peer)}"
    ratio = f"{_spread(row.ratio)} x" if row.ratio else ""
    met = {None: "", True: "met", False: "missed"}[row.is_met]
    return row.title, _figure(row.ours), peer, ratio, goal, met


def _figure(figure: Figure) -> str:
    return f"{_spread(figure.values)} {figure.unit}"


def _spread(values: Sequence[float]) -> str:
    return f"{_number(statistics.median(values))} [{_number(min(values))}, {_number(max(values))}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
