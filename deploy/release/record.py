"""`python -m deploy.release.record VERSION COMMIT`: keep a release's wheels and golden files for the tests (ADR 0096)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.release import packages
from deploy.release.source import REPOSITORY, committed


def record(version: str, commit: str) -> Path:
    """Build that commit's wheels and copy its golden files; returns the folder.

    Raises:
        FileExistsError: that release is recorded already; what was shipped doesn't change.
    """
    folder = REPOSITORY / "tests" / "contract" / "releases" / version
    (folder / "wheels").mkdir(parents=True)
    with committed(commit, version) as source:
        for file in sorted((source.folder / "tests" / "contract" / "golden").iterdir()):
            (folder / "golden").mkdir(exist_ok=True)
            shutil.copy(file, folder / "golden")
        packages.build(source, folder / "wheels")
    for archive in (folder / "wheels").glob("*.tar.gz"):
        archive.unlink()
    return folder


if __name__ == "__main__":
    sys.stdout.write(f"{record(*sys.argv[1:3]).relative_to(REPOSITORY)}\n")
