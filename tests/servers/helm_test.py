"""What `helm test` runs in a pod, run here: the charts' own scripts, against a real service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

CHARTS: Final = Path(__file__).resolve().parents[2] / "deploy" / "charts"


def run_helm_test(chart: str, script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a chart's script as its test pod does: isolated from our packages, its environment the pod's."""
    source = (CHARTS / chart / "files" / script).read_text()
    command = [sys.executable, "-I", "-c", source]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
