"""Whether the wheels work: all installed together, with nothing of the repository, each service starts up to its settings."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from deploy.release.source import SERVICES, Source, environment, run, uv

_SETTINGS: Final = re.compile(r"^settings: [A-Z_]+: is required", re.MULTILINE)
START_SECONDS: Final = 120


def start_each(wheels: list[Path], source: Source) -> list[str]:
    """Install the wheels at the lock file's versions and start each service; returns a line for each that doesn't start."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="meetai-trial-") as folder:
        place = Path(folder)
        run(uv(), "venv", "--quiet", str(place / "venv"), folder=place, environment=environment())
        constraints = place / "constraints.txt"
        exported = run(
            uv(),
            "export",
            "--frozen",
            "--quiet",
            "--no-dev",
            "--all-packages",
            "--no-emit-workspace",
            "--no-hashes",
            folder=source.folder,
            environment=environment(),
        )
        constraints.write_bytes(exported)
        python = place / "venv" / "bin" / "python"
        install = (uv(), "pip", "install", "--quiet", "--python", str(python), "--constraints", str(constraints))
        run(*install, *map(str, wheels), folder=place, environment=environment())
        for service in SERVICES:
            module = f"meetai_{service.replace('-', '_')}"
            ended = subprocess.run(
                [str(python), "-I", "-m", module],
                cwd=place,
                env={"HOME": folder},
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
                check=False,
            )
            if ended.returncode != 2 or not _SETTINGS.search(ended.stderr):
                problems.append(f"{module} doesn't start:\n{ended.stderr[-2000:]}")
    return problems
