"""Known vulnerabilities of what is shipped with: asked of OSV and of npm's registry, which may not be reached from here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from deploy.release.source import environment, uv

AUDIT_SECONDS: Final = 120
_UNREACHED: Final = (
    "error sending request",
    "dns error",
    "audit endpoint returned an error",
    "timed out",
    "ENOTFOUND",
    "ECONNREFUSED",
)


class Finding(NamedTuple):
    """What an audit came to."""

    text: str
    is_problem: bool


def python(folder: Path) -> Finding:
    """Ask OSV about all that the lock file names and a service needs."""
    return _audit("Python packages", (uv(), "audit", "--frozen", "--no-dev"), folder)


def javascript(folder: Path) -> Finding:
    """Ask npm about the packages of the examples and tests; none is shipped."""
    npm = shutil.which("npm")
    if npm is None:
        return Finding("LEFT OUT: audit of npm packages, because there is no npm", is_problem=False)
    return _audit("npm packages", (npm, "audit", "--audit-level=high"), folder / "tests" / "node")


def judged(what: str, exit_code: int, output: str) -> Finding:
    """What an auditor's exit code and words mean. One that couldn't ask anybody has found nothing, and says so."""
    if exit_code == 0:
        return Finding(f"no known vulnerability in {what}", is_problem=False)
    if any(words in output for words in _UNREACHED):
        return Finding(
            f"LEFT OUT: audit of {what}, because the service that knows can't be reached from here", is_problem=False
        )
    return Finding(f"audit of {what} failed:\n{output[-3000:]}", is_problem=True)


def _audit(what: str, command: tuple[str, ...], folder: Path) -> Finding:
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=AUDIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return judged(what, 1, "timed out")
    return judged(what, ended.returncode, ended.stdout + ended.stderr)
