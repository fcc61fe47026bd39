"""A real browser without a window. Installs it where that can be done; must not know what it shows."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.categories import do_without
from tests.servers.once import one_at_a_time

INSTALL_SECONDS = 300
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")

FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
"""A device that beeps, and nobody to ask for it."""


@functools.cache
def program() -> str | None:
    """Chromium's path; installed from the distribution if there is none and this is root."""
    with one_at_a_time("chromium", seconds=2 * INSTALL_SECONDS):
        found = _found()
        if found or os.geteuid() != 0 or not shutil.which("apt-get"):
            return found
        if sys.__stderr__ is not None:
            sys.__stderr__.write("\ninstalling chromium (once)\n")
        for command in (("apt-get", "update"), ("apt-get", "install", "-y", "--no-install-recommends", "chromium")):
            subprocess.run(command, check=False, capture_output=True, timeout=INSTALL_SECONDS)
        return _found()


def _found() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def browser(url: str, profile: Path, *flags: str) -> Iterator[None]:
    """A browser that shows this page until the end of the block."""
    chromium = program()
    if chromium is None:
        do_without("Chromium: apt-get install chromium")
    command = [chromium, *FLAGS, *flags, f"--user-data-dir={profile}", url]
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
