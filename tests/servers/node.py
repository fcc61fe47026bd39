"""Programs on Node.js, with the packages that `tests/node/package-lock.json` names. Installs them; must not know what they do."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.categories import do_without
from tests.servers.once import one_at_a_time

FOLDER = Path(__file__).parents[1] / "node"
INSTALL_SECONDS = 180
"""70 MB; 18 s on two cores with an empty cache."""
_STAMP = FOLDER / "node_modules" / ".meetai-lock"


def needed_node() -> str:
    """Node.js for a test, which is left out where this machine has none; else as `node_program`."""
    return node_program() or do_without("Node.js and npm: apt-get install nodejs npm")


def node_program() -> str | None:
    """Where Node.js is, its packages installed; None where this machine has none.

    Raises:
        RuntimeError: npm couldn't install them in time; its own words are in the message.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    with one_at_a_time("node_modules", seconds=INSTALL_SECONDS):
        if not _STAMP.is_file() or _STAMP.read_text() != lock:
            assert sys.__stderr__ is not None
            sys.__stderr__.write(f"\ninstalling npm packages into {FOLDER.name}/node_modules (70 MB, once)\n")
            _install(npm)
            _STAMP.write_text(lock)
    return node


def run_script(node: str, script: str, *arguments: str, seconds: float = 60, **environment: str) -> Any:
    """Run a script of `tests/node`; returns the JSON that it prints.

    Raises:
        RuntimeError: it failed; what it wrote is in the message.
    """
    command = [node, str(FOLDER / script), *arguments]
    ended = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=seconds, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{script}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
    return json.loads(ended.stdout)


def _install(npm: str) -> None:
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        ended = subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"npm ci didn't end within {INSTALL_SECONDS} s") from None
    if ended.returncode != 0:
        raise RuntimeError(f"npm ci: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
