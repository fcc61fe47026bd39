"""`docker compose`, version 2 or the older docker-compose, on deploy/compose.yaml."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.servers.images import REPOSITORY

COMPOSE_FILE: Final = REPOSITORY / "deploy" / "compose.yaml"
SECONDS: Final = 300
"""`up` starts twelve containers, one after another where one waits for another: 20 s on an idle machine."""


@functools.cache
def command() -> tuple[str, ...]:
    """How it is called here; the test is skipped where it isn't."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    pytest.skip("neither `docker compose` nor docker-compose is here")


class Compose:
    """One project of the compose file.

    Args:
        environment: A file as `deploy/compose-env` writes it.
        name: Of the project; containers, volumes and the network are named after it.
        overrides: Further compose files.
    """

    def __init__(self, environment: Path, *, name: str = "meetai", overrides: Sequence[Path] = ()) -> None:
        files = [part for file in (COMPOSE_FILE, *overrides) for part in ("-f", str(file))]
        self._command = (*command(), "--env-file", str(environment), "-p", name, *files)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of its commands, with nothing of the tests' environment."""
        environment = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME"}}
        return subprocess.run(
            [*self._command, *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def must(self, *arguments: str) -> str:
        """What a command that has to succeed prints."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr[-4000:]
        return ended.stdout


def make_environment(path: Path, more: str = "") -> Path:
    """A file of settings with secrets of its own, and more lines."""
    subprocess.run(["sh", REPOSITORY / "deploy" / "compose-env", path], check=True, timeout=30)
    with path.open("a", encoding="utf-8") as file:
        file.write(more)
    return path
