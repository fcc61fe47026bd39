"""Links between files of the repository, as links between pages of the site.

A link to a file that is a page leads to the page; to a picture, to a copy of it; to anything else in the repository (code),
it becomes its words alone, because the site can be read where the repository can't. A link to nothing is a problem.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from deploy.docs.site.markdown import lines_outside_fences
from deploy.docs.site.page import REPOSITORY

_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_ELSEWHERE: Final = re.compile(r"^[a-z][a-z0-9+.-]*:")
_PICTURES: Final = frozenset({".svg", ".png", ".jpg", ".gif", ".webp"})
_SCHEMA: Final = ".schema.json"


class Places:
    """Where each file of the repository is on the site.

    Args:
        pages: Files and folders that a page stands for.
        schemas: The page with a section for each contract's schema.
    """

    def __init__(self, pages: Mapping[Path, PurePosixPath], *, schemas: PurePosixPath) -> None:
        self._pages = pages
        self._schemas = schemas
        self.shown: set[Path] = set()

    def of(self, file: Path, anchor: str) -> tuple[PurePosixPath, str] | None:
        """The page for a file, and the anchor on it; None where there is no page."""
        if file.name.endswith(_SCHEMA) and file.exists():
            return self._schemas, file.name.removesuffix(_SCHEMA).lower()
        page = self._pages.get(file)
        return (page, anchor) if page else None

    def asset(self, file: Path) -> PurePosixPath:
        """Where a picture is copied to."""
        return PurePosixPath("assets", file.relative_to(REPOSITORY).as_posix().replace("/", "-"))


def lead_to_pages(text: str, source: Path, place: PurePosixPath, places: Places, problems: list[str]) -> str:
    """The text of `source` as part of the page at `place`, its links leading to pages."""

    def replaced(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        words = _LINK.sub(replaced, words)
        if _ELSEWHERE.match(target) or target.startswith("#"):
            return f"{picture}[{words}]({target})"
        path, _, anchor = target.partition("#")
        file = (source.parent / path).resolve()
        if found_place := places.of(file, anchor):
            page, anchor = found_place
            return f"{picture}[{words}]({_relative(page, place)}{'#' + anchor if anchor else ''})"
        if not file.exists():
            problems.append(f"{source.relative_to(REPOSITORY)}: leads to {target}, which isn't there")
            return words
        if file.suffix in _PICTURES:
            places.shown.add(file)
            return f"{picture}[{words}]({_relative(places.asset(file), place)})"
        return words

    lines = (_LINK.sub(replaced, line) if prose else line for line, prose in lines_outside_fences(text))
    return "\n".join(lines) + "\n"


def _relative(target: PurePosixPath, place: PurePosixPath) -> str:
    return PurePosixPath(os.path.relpath(target, place.parent)).as_posix()
