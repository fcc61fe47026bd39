"""Whether the changelog tells a user about a version."""

from __future__ import annotations

import re
from typing import Final

from deploy.release.source import REPOSITORY

_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def problems(version: str, *, rehearsal: bool, text: str | None = None) -> list[str]:
    """A line if `CHANGELOG.md` has no section of this version with a date and something in it. A rehearsal takes `Unreleased`."""
    changelog = (REPOSITORY / "CHANGELOG.md").read_text() if text is None else text
    sections = _HEADING.split(changelog)
    said = {title: body.strip() for title, body in zip(sections[1::2], sections[2::2], strict=True)}
    form = re.compile(rf"^{re.escape(version)} - \d{{4}}-\d{{2}}-\d{{2}}$")
    found = [title for title in said if form.match(title) or (rehearsal and title == "Unreleased")]
    if not found:
        return [f"CHANGELOG.md: has no section `## {version} - YYYY-MM-DD`"]
    return [f"CHANGELOG.md: says nothing of {title}" for title in found if "- " not in said[title]]
