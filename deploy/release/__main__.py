"""`python -m deploy.release [VERSION]`: make a release of what is committed, into `dist/`. Without a version, a rehearsal."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from deploy.release import audit, bill, changelog, charts, licences, packages, trial
from deploy.release.source import REPOSITORY, Source, committed, project_version
from deploy.release.sums import write_sums

DIST: Final = REPOSITORY / "dist"


def make(version: str, *, rehearsal: bool) -> list[str]:
    """Make it, saying each step; returns what is wrong with it, a line each."""
    if problems := changelog.problems(version, rehearsal=rehearsal):
        return problems
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with committed("HEAD", version) as source:
        problems = _fill(source)
    if not problems:
        _say(f"{len(write_sums(DIST))} files, checksums in dist/SHA256SUMS")
    return problems


def _fill(source: Source) -> list[str]:
    wheels = packages.build(source, DIST)
    _say(f"{len(wheels)} wheels and as many source distributions of {source.version}")
    bills = bill.write_bills(source, DIST)
    _say(f"{len(bills)} bills of materials, CycloneDX")
    problems = licences.write_list(bills, DIST / "licences.md")
    _say("licences listed in dist/licences.md")
    for line in (charts.package(source, DIST), audit.python(source.folder), audit.javascript(source.folder)):
        _say(line.text)
        problems += [line.text] if line.is_problem else []
    problems += trial.start_each(wheels, source)
    if not problems:
        _say("all wheels install together, and each service starts up to its settings")
    return problems


def _say(line: str) -> None:
    sys.stdout.write(f"release: {line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Make the release; returns the process's exit code."""
    asked = arguments[0] if arguments and arguments[0] else ""
    version = project_version(Path(REPOSITORY))
    if asked and asked != version:
        sys.stderr.write(
            f"release: pyproject.toml says {version}; `make version VERSION={asked}` sets it, then commit\n"
        )
        return 1
    problems = make(version, rehearsal=not asked)
    sys.stderr.write("".join(f"release: {line}\n" for line in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
