"""A page of the site, and what can be wrong with the pages. Owns where they are; must not know what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

REPOSITORY: Final = Path(__file__).parents[3]
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


class Problems(Exception):  # noqa: N818 - several, not one
    """What is wrong with the pages, a line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


@dataclass(frozen=True)
class Page:
    """One page, or a file that pages show.

    Attributes:
        place: Where it is in the site's sources, `operations/upgrade.md`.
        content: Markdown, or the file's own bytes.
        source: The repository's file that it is written from; None for a generated one.
    """

    place: PurePosixPath
    content: str | bytes
    source: Path | None = None
    title: str = field(init=False)

    def __post_init__(self) -> None:
        found = _TITLE.search(self.content) if isinstance(self.content, str) else None
        object.__setattr__(self, "title", found[1] if found else self.place.name)

    @property
    def is_markdown(self) -> bool:
        """Whether it has a place in the navigation."""
        return self.place.suffix == ".md"

    def write(self, folder: Path) -> None:
        """Write it below `folder`."""
        file = folder / self.place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.content if isinstance(self.content, bytes) else self.content.encode())
