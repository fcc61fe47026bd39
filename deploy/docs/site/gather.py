"""Every page there is: written ones from the repository, generated ones from the code. Owns which files become pages, and where."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from deploy.docs.site import contracts_reference, http_reference, settings_reference
from deploy.docs.site.includes import fill_in
from deploy.docs.site.links import Places, lead_to_pages
from deploy.docs.site.markdown import as_mkdocs_reads_it
from deploy.docs.site.page import REPOSITORY, Page, Problems

DOCS: Final = REPOSITORY / "deploy" / "docs"
DECISIONS: Final = REPOSITORY / "deploy" / "adr"
AT_THE_TOP: Final = {
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
STAND_INS: Final = {
    ".": "index.md",
    "README.md": "index.md",
    "deploy/docs": "index.md",
    "deploy/adr": "decisions/index.md",
    "libs/contracts": "reference/contracts.md",
    "libs/contracts/schema": "reference/contracts.md",
}
"""Folders and files that are no pages themselves: where a link to them leads."""
_CONTRACTS: Final = PurePosixPath("reference/contracts.md")
GENERATED: Final = ("configuration", "contracts", *(f"http-{name}" for name in http_reference.NAMES))
"""Pages below `reference/` that are on the site alone; a written page may lead to them all the same."""


def gather() -> list[Page]:
    """All pages and the files that they show.

    Raises:
        Problems: a link or an include leads nowhere.
    """
    written = _written()
    places = Places(
        {source: place for source, place in written.items() if source.suffix == ".md"}
        | {(REPOSITORY / name).resolve(): PurePosixPath(place) for name, place in STAND_INS.items()}
        | {DOCS / "reference" / f"{name}.md": PurePosixPath("reference", f"{name}.md") for name in GENERATED}
        | {source.parent: place for source, place in written.items() if place.parent.name == "services"},
        schemas=_CONTRACTS,
    )
    problems: list[str] = []
    pages: dict[PurePosixPath, Page] = {}
    for source, place in written.items():
        if source.suffix != ".md":
            pages[place] = Page(place, source.read_bytes(), source)
            continue
        parts = fill_in(source, problems)
        text = "".join(lead_to_pages(part.text, part.source, place, places, problems) for part in parts)
        pages[place] = Page(place, as_mkdocs_reads_it(text), source)
    for shown in places.shown:
        pages[places.asset(shown)] = Page(places.asset(shown), shown.read_bytes(), shown)
    if problems:
        raise Problems(problems)
    generated = [
        settings_reference.page(),
        contracts_reference.page(_CONTRACTS),
        *http_reference.pages(),
        _index_of_decisions(list(pages.values())),
    ]
    return [*pages.values(), *generated]


def _written() -> dict[Path, PurePosixPath]:
    found = {REPOSITORY / name: PurePosixPath(place) for name, place in AT_THE_TOP.items()}
    found |= {file: PurePosixPath("decisions", file.name) for file in DECISIONS.glob("*.md")}
    found |= {
        file: PurePosixPath("services", f"{file.parent.name}.md") for file in REPOSITORY.glob("services/*/README.md")
    }
    for file in DOCS.rglob("*"):
        place = PurePosixPath(file.relative_to(DOCS))
        if file.is_file() and place.parts[0] not in {"site", "navigation.toml", "mkdocs.yml"}:
            found[file] = place
    return {file: found[file] for file in sorted(found) if file.exists()}


def _index_of_decisions(pages: list[Page]) -> Page:
    decisions = [page for page in pages if page.place.parent.name == "decisions"]
    lines = [f"- [{page.title}]({page.place.name})" for page in decisions]
    top = (
        "# Decisions\n\nOne page for each decision that a newcomer would question. They are superseded, not edited.\n\n"
    )
    return Page(PurePosixPath("decisions/index.md"), top + "\n".join(lines) + "\n")
