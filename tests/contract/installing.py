"""A member of the workspace in a virtual environment of its own, as it ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.contract.members import REPOSITORY, Member, members

INSTALL_TIMEOUT_SECONDS = 240
"""From uv's cache it takes 1-3 s; on a fresh machine the agent's wheels are downloaded first."""


def uv() -> str:
    """The uv that runs this workspace."""
    local = sorted((REPOSITORY / ".local" / "uv").glob("*/uv"))
    found = (
        os.environ.get("MEETAI_UV") or os.environ.get("UV") or shutil.which("uv") or (str(local[-1]) if local else None)
    )
    if found is None:
        raise RuntimeError("no uv: `make setup-dev` fetches one, or set UV")
    return found


def install(member: Member, folder: Path, *extra: str) -> Path:
    """A virtual environment with this member, built as it ships, and what it declares; returns its interpreter."""
    ours = [argument for each in members() for argument in ("--reinstall-package", each.name)]
    command = [
        uv(),
        "sync",
        "--quiet",
        "--frozen",
        "--no-dev",
        "--no-editable",
        "--package",
        member.name,
        *ours,
        *extra,
    ]
    # uv rebuilds a member only when its pyproject.toml changes, hence --reinstall-package
    environment = {
        **{key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"},
        "UV_PROJECT_ENVIRONMENT": str(folder),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, timeout=INSTALL_TIMEOUT_SECONDS)
    return folder / "bin" / "python"
