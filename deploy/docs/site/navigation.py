"""Where each page is in the navigation. Owns `navigation.toml` and the configuration that mkdocs is given."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from deploy.docs.site.page import Page, Problems

HERE: Final = Path(__file__).parents[1]
Section = tuple[str, list[str]]


class _Section(msgspec.Struct, forbid_unknown_fields=True):
    """A section: its pages in order, then those of its folders, then whatever has no place elsewhere."""

    title: str
    pages: list[str] = []
    folders: list[str] = []
    rest: bool = False


class _Navigation(msgspec.Struct, forbid_unknown_fields=True):
    section: list[_Section]


def arrange(pages: list[Page]) -> list[Section]:
    """The sections, each with the places of its pages. A page that nobody named is in the one with `rest`.

    Raises:
        Problems: a page is named that isn't there, or twice.
    """
    navigation = msgspec.convert(tomllib.loads((HERE / "navigation.toml").read_text()), _Navigation)
    places = sorted(str(page.place) for page in pages if page.is_markdown)
    named = [place for section in navigation.section for place in section.pages]
    problems = [f"navigation.toml: {place} isn't there" for place in sorted(set(named) - set(places))]
    problems += [
        f"navigation.toml: {place} is named twice"
        for place in sorted({each for each in named if named.count(each) > 1})
    ]
    if problems:
        raise Problems(problems)
    left = [place for place in places if place not in named]
    arranged: list[Section] = []
    for section in navigation.section:
        below = [
            place
            for place in left
            if any(PurePosixPath(folder) in PurePosixPath(place).parents for folder in section.folders)
        ]
        arranged.append((section.title, [*section.pages, *below]))
        left = [place for place in left if place not in below]
    for section, (_, held) in zip(navigation.section, arranged, strict=True):
        if section.rest:
            held.extend(left)
            left = []
    if left:
        raise Problems([f"navigation.toml: {place} has no section" for place in left])
    return [(title, held) for title, held in arranged if held]


def write_configuration(sources: Path, site: Path, sections: list[Section]) -> Path:
    """Write mkdocs' configuration for these sections; returns the file. JSON is YAML."""
    file = sources / "mkdocs.yml"
    configuration = {
        "INHERIT": os.path.relpath(HERE / "mkdocs.yml", sources),
        "docs_dir": str(sources / "pages"),
        "site_dir": str(site),
        "nav": [{title: pages} for title, pages in sections],
    }
    file.write_bytes(msgspec.json.format(msgspec.json.encode(configuration), indent=2))
    return file
