"""Markdown as it is written for a repository, and as mkdocs reads it. Owns fences, anchors, lists and tables; knows no page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

_FENCE: Final = re.compile(r"^ *(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"^( *)(?:[-*+]|1\.) +\S")
_CODE_WITH_BAR: Final = re.compile(r"`([^`]*\|[^`]*)`")
_MARKS: Final = re.compile(r"[|\\*_\[\]]")
_CONTINUES: Final = re.compile(r"^ *(?:[-*+]|\d+\.) |^ |^#|^<|^\||^>")


def lines_outside_fences(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is prose: neither a fence nor between two."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if not fence and found:
            fence = found[1]
            yield line, False
        elif fence:
            if found and found[1].startswith(fence) and line.strip() == found[1]:
                fence = ""
            yield line, False
        else:
            yield line, True


def as_mkdocs_reads_it(text: str) -> str:
    """A list that follows a paragraph at once is a list in CommonMark; Python-Markdown wants an empty line between."""
    lines: list[str] = []
    before = ""
    for line, prose in lines_outside_fences(text):
        if prose and _ITEM.match(line) and before and not _CONTINUES.match(before):
            lines.append("")
        lines.append(line)
        before = line if prose else ""
    return "\n".join(lines) + "\n"


def anchor_of(heading: str) -> str:
    """The anchor of a heading, as forges and the site (pymdownx's slugs) make it."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the bars within cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(each) for each in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return _CODE_WITH_BAR.sub(_code, " ".join(text.split())).replace("|", "\\|")


def _code(found: re.Match[str]) -> str:
    """Code with a bar: in backticks, its escape would be shown. What else Markdown would read within it is written as its number."""
    return f"<code>{_MARKS.sub(lambda mark: f'&#{ord(mark[0])};', html.escape(found[1]))}</code>"
