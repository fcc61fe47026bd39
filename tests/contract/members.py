"""The workspace's members: what each declares, and what each imports."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Member:
    """One service or library."""

    folder: Path

    @property
    def project(self) -> dict[str, Any]:
        project: dict[str, Any] = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        return project

    @property
    def name(self) -> str:
        """The distribution's name."""
        return str(self.project["name"])

    @property
    def package(self) -> str:
        """The name by which it is imported."""
        return self.name.replace("-", "_")

    @property
    def is_service(self) -> bool:
        return self.folder.parent.name == "services"

    @property
    def modules(self) -> list[str]:
        """Every module, by its dotted name; `__main__` left out, since importing is running."""
        source = self.folder / "src"
        names = [".".join(file.relative_to(source).with_suffix("").parts) for file in self.files]
        return sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / "src" / self.package).rglob("*.py"))

    def requirements(self) -> list[Requirement]:
        """All that it declares, the extras too."""
        extras = self.project.get("optional-dependencies", {}).values()
        return [
            Requirement(text) for text in [*self.project["dependencies"], *(each for extra in extras for each in extra)]
        ]

    def imported(self) -> set[str]:
        """Distributions whose modules it imports, anywhere in it; its own and the standard library left out."""
        found = {distribution_of(names) for file in self.files for names in _imports(file)}
        return found - {self.name, ""}


def members() -> list[Member]:
    """All of them."""
    files = [*REPOSITORY.glob("libs/*/pyproject.toml"), *REPOSITORY.glob("services/*/pyproject.toml")]
    ours = [
        REPOSITORY / "deploy" / "local" / "pyproject.toml",
        *REPOSITORY.glob("deploy/examples/post_meeting/pyproject.toml"),
    ]
    return [Member(file.parent) for file in [*sorted(files), *ours]]


def member(name: str) -> Member:
    """The one with this distribution's name."""
    return next(each for each in members() if each.name == name)


def distribution_of(candidates: tuple[str, ...]) -> str:
    """The distribution that holds the first of these modules that exists; "" for the standard library's.

    Raises:
        LookupError: none does.
    """
    root = candidates[0].partition(".")[0]
    if root in sys.stdlib_module_names:
        return ""
    if root.startswith("meetai_"):
        return root.replace("_", "-")
    for candidate in candidates:
        path = candidate.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py", f"{path}.pyi", path):
            if found := _installed_files().get(file):
                return found
    raise LookupError(f"no installed distribution has {candidates[0]}")


def given_by_extras(requirement: Requirement) -> set[str]:
    """Distributions that come with a requirement's extras: `psycopg[pool]` gives psycopg-pool."""
    found: set[str] = set()
    for text in importlib.metadata.requires(requirement.name) or ():
        inner = Requirement(text)
        if inner.marker and any(inner.marker.evaluate({"extra": extra}) for extra in requirement.extras):
            found.add(canonicalize_name(inner.name))
    return found


def _imports(file: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.module) for alias in node.names)


@cache
def _installed_files() -> dict[str, str]:
    """Every installed module's file, and every folder with one, by the distribution that brought it."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        for file in distribution.files or ():
            if file.suffix in {".py", ".pyi"}:
                found[str(file)] = name
            elif file.suffix == ".so":
                found[str(file.parent / file.name.partition(".")[0])] = name
    return found
