"""Releases that were made, and how their code is run: from their own wheels, over today's third-party packages (ADR 0096).

`tests/contract/releases/VERSION` holds the wheels and the golden files that `make record` kept. Must not know what they do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "contract" / "releases"
RUN_SECONDS: Final = 120


@dataclass(frozen=True)
class Release:
    """One release."""

    folder: Path

    @property
    def version(self) -> str:
        return self.folder.name

    @property
    def golden(self) -> Path:
        """What its code wrote, byte for byte."""
        return self.folder / "golden"

    def unpack(self, folder: Path) -> Unpacked:
        """Its packages, importable from `folder`."""
        for wheel in sorted((self.folder / "wheels").glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
        return Unpacked(folder)


@dataclass(frozen=True)
class Unpacked:
    """A release's packages in a folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes Python find this release's packages before those of the workspace."""
        return {"PYTHONPATH": str(self.folder)}

    def run(self, *arguments: str, given: bytes = b"", **environment: str) -> bytes:
        """`python …` with this release's packages; returns what it prints.

        Raises:
            AssertionError: it failed; what it wrote is in the message.
        """
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={"PATH": os.environ["PATH"], **self.environment, **environment},
            input=given,
            capture_output=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()[-3000:]
        return ended.stdout


def releases() -> list[Release]:
    """Every release that was recorded, the oldest first."""
    return [Release(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]
