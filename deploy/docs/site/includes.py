"""What a page takes from another file, so that each fact is written once.

A line `<!-- include -->[words](path#section)` stands for a section of that Markdown file (its heading left out), or for the
whole of a file of code. Where the page is read in the repository, it is a link to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.docs.site.markdown import anchor_of, lines_outside_fences

_INCLUDE: Final = re.compile(r"^<!-- include -->\[[^\]]*\]\(([^)#]+)(?:#([^)]+))?\)$")
_HEADING: Final = re.compile(r"^(#+) (.*)$")
LANGUAGES: Final = {
    ".ts": "ts",
    ".tsx": "tsx",
    ".py": "python",
    ".sh": "sh",
    ".json": "json",
    ".yaml": "yaml",
    ".toml": "toml",
}


@dataclass(frozen=True)
class Part:
    """Text of a page, and the file whose links it has."""

    text: str
    source: Path


def fill_in(source: Path, problems: list[str]) -> list[Part]:
    """The page's text with everything that it includes. What can't be found is added to `problems`."""
    parts: list[Part] = []
    for line in source.read_text().splitlines(keepends=True):
        found = _INCLUDE.match(line.strip())
        if found is None:
            parts.append(Part(line, source))
            continue
        file = (source.parent / found[1]).resolve()
        text = _text_of(file, found[2])
        if text is None:
            problems.append(f"{source.name}: includes {line.strip()[17:]}, which isn't there")
        else:
            parts.append(Part(text, file))
    return _joined(parts)


def _text_of(file: Path, section: str | None) -> str | None:
    if not file.is_file():
        return None
    if file.suffix != ".md":
        fence = "````"
        return f"{fence}{LANGUAGES.get(file.suffix, '')}\n{file.read_text().rstrip()}\n{fence}\n"
    return file.read_text() if section is None else _section(file.read_text(), section)


def _section(text: str, anchor: str) -> str | None:
    kept: list[str] = []
    level = 0
    for line, outside in lines_outside_fences(text):
        heading = _HEADING.match(line) if outside else None
        if heading and level and len(heading[1]) <= level:
            break
        if level:
            kept.append(line)
        elif heading and anchor_of(heading[2]) == anchor:
            level = len(heading[1])
    return "\n".join(kept).strip("\n") + "\n" if level else None


def _joined(parts: list[Part]) -> list[Part]:
    """Neighbours of one source in one part: what stands over several lines is seen whole."""
    joined: list[Part] = []
    for part in parts:
        if joined and joined[-1].source == part.source:
            joined[-1] = Part(joined[-1].text + part.text, part.source)
        else:
            joined.append(part)
    return joined
