"""The charts, packaged by helm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deploy.release.audit import Finding
from deploy.release.source import REPOSITORY, Source, chart_files, run


def package(source: Source, into: Path) -> Finding:
    """Package the charts, each with what it depends on; returns what was done, or why it was left out."""
    if not chart_files(source.folder):
        return Finding("no charts: there are none in deploy/charts", is_problem=False)
    helm = _helm()
    if helm is None:
        required = os.environ.get("MEETAI_REQUIRE_ALL") == "1"
        return Finding(
            "LEFT OUT: charts, because there is no helm; `make charts-tools` builds one", is_problem=required
        )
    before = set(into.iterdir())
    environment = {**source.environment, "HELM": helm, "HOME": str(source.folder)}
    run("bash", "deploy/charts/build", str(into), folder=source.folder, environment=environment)
    return Finding(f"{len(set(into.iterdir()) - before)} charts", is_problem=False)


def _helm() -> str | None:
    """The one that `make charts-tools` built, or one on PATH."""
    built = os.environ.get("HELM") or str(REPOSITORY / ".local" / "charts" / "bin" / "helm")
    return built if os.access(built, os.X_OK) else shutil.which("helm")
