"""Wheels and source distributions of what is shipped, the same bytes whenever a commit is built."""

from __future__ import annotations

from pathlib import Path

from deploy.release.source import MEMBERS, Source, run, uv


def build(source: Source, into: Path) -> list[Path]:
    """Build them; returns the wheels."""
    for member in MEMBERS:
        command = (uv(), "build", "--quiet", "--package", f"meetai-{member}", "--out-dir", str(into))
        run(*command, folder=source.folder, environment=source.environment)
    (into / ".gitignore").unlink(missing_ok=True)
    return sorted(into.glob("*.whl"))
