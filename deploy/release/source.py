"""What is released: a commit's files, and the one version that all of it has.

The version is kept in the root `pyproject.toml`; `make version` writes it into the members, whose own build needs it. A released
member names the others at exactly this version, which within the workspace they needn't.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
SERVICES: Final = ("token", "agent", "transcript-ingest", "webhook-bridge")
MEMBERS: Final = ("contracts", "servicekit", *SERVICES)
"""What is shipped; `meetai-local` is for a developer's machine."""
COMMAND_SECONDS: Final = 600
_VERSION: Final = re.compile(r'^version = "([^"]*)"$', re.MULTILINE)
_CHART_VERSION: Final = re.compile(r"^( *(?:version|appVersion): ).*$", re.MULTILINE)
_SIBLING: Final = re.compile(r'^(  "meetai-[a-z-]+(?:\[[a-z,]*\])?)(",)$', re.MULTILINE)
VERSION_FORM: Final = re.compile(r"^\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?$")


@dataclass(frozen=True)
class Source:
    """A commit's files in a folder.

    Attributes:
        commit: The commit, 40 hex digits.
        epoch: When it was committed, Unix seconds: the time of every file in what is built.
    """

    folder: Path
    version: str
    commit: str
    epoch: int

    @property
    def environment(self) -> dict[str, str]:
        """What makes two builds of one commit the same bytes."""
        return {**environment(), "SOURCE_DATE_EPOCH": str(self.epoch)}


def project_version(folder: Path) -> str:
    """The version in a root `pyproject.toml`."""
    version: str = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    return version


def member_files(folder: Path) -> list[Path]:
    """The `pyproject.toml` of every member."""
    return sorted(
        [
            *folder.glob("libs/*/pyproject.toml"),
            *folder.glob("services/*/pyproject.toml"),
            *folder.glob("deploy/local/pyproject.toml"),
            *folder.glob("deploy/examples/post_meeting/pyproject.toml"),
        ]
    )


def chart_files(folder: Path) -> list[Path]:
    """The `Chart.yaml` of every chart."""
    return sorted(folder.glob("deploy/charts/*/Chart.yaml"))


def set_version(folder: Path, version: str) -> None:
    """Write the version into the root, every member and every chart, with what the charts ask of one another.

    Raises:
        ValueError: not `1.2.3`, nor with `a1`, `b1` or `rc1` after it.
    """
    if not VERSION_FORM.match(version):
        raise ValueError(f"VERSION must be like 1.2.3 or 1.2.3rc1, not {version!r}")
    for file in [folder / "pyproject.toml", *member_files(folder)]:
        file.write_text(_VERSION.sub(f'version = "{version}"', file.read_text(), count=1))
    for file in chart_files(folder):
        file.write_text(_CHART_VERSION.sub(rf"\g<1>{version}", file.read_text()))


@contextmanager
def committed(revision: str, version: str) -> Iterator[Source]:
    """A commit's files, with the version in each member and in what it asks of the others; removed afterwards."""
    commit = git("rev-parse", revision).decode().strip()
    with tempfile.TemporaryDirectory(prefix="meetai-release-") as folder:
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
            archive.extractall(folder, filter="data")
        source = Source(Path(folder), version, commit, int(git("show", "-s", "--format=%ct", commit)))
        set_version(source.folder, version)
        for file in member_files(source.folder):
            file.write_text(_SIBLING.sub(rf"\g<1>=={version}\g<2>", file.read_text()))
        yield source


def git(*arguments: str) -> bytes:
    """What git says."""
    return run("git", *arguments, folder=REPOSITORY, environment=os.environ)


def uv() -> str:
    """The uv of this workspace, as the Makefile names it."""
    return os.environ.get("MEETAI_UV", "uv")


def environment() -> dict[str, str]:
    """For uv: this Python, and no other environment's."""
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return {**kept, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}


def run(*command: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    """What a program prints.

    Raises:
        subprocess.CalledProcessError: it failed; what it wrote has been shown.
    """
    ended = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, timeout=COMMAND_SECONDS, check=False
    )
    if ended.returncode != 0:
        sys.stderr.write(ended.stderr.decode(errors="replace")[-4000:])
    ended.check_returncode()
    return ended.stdout
