"""The charts, packaged by helm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deploy.release.source import REPOSITORY, Source, run


def package(source: Source, into: Path) -> str:
    """Package every chart of `deploy/charts` at this version; returns what was done, or why it was left out."""
    charts = sorted(file.parent for file in (source.folder / "deploy" / "charts").glob("*/Chart.yaml"))
    if not charts:
        return "no charts: there are none in deploy/charts"
    helm = shutil.which("helm", path=f"{REPOSITORY / '.local' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if helm is None:
        return f"LEFT OUT: {len(charts)} charts, because there is no helm; `make charts` builds one"
    for chart in charts:
        versions = ("--version", source.version, "--app-version", source.version)
        run(
            helm,
            "package",
            str(chart),
            "--destination",
            str(into),
            *versions,
            folder=source.folder,
            environment=source.environment,
        )
    return f"{len(charts)} charts"
