"""`make planted`: applies one bug at a time and shows that the suite catches it.

Each `tests/planted/*.patch` is a bug that somebody could write. Its first lines say what it does and which tests must fail
(`Caught-by:` pytest arguments). Owns applying, running and reporting; a test that can't fail shows here. Works on a copy of
the tracked files, with the checkout's packages, so the checkout is never touched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

REPOSITORY = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
RUN_TIMEOUT_SECONDS = 300
PLANTED_AT_ONCE = 2
"""As many as CI has cores. Each has a copy, servers and ports of its own."""
TESTS_FAILED = 1
"""pytest's exit code when tests ran and some failed; 2 to 5 mean that it didn't come to that."""


class Planted(Struct, frozen=True):
    """One bug.

    Attributes:
        title: What it does, in a sentence.
        caught_by: pytest's arguments for the tests that must fail with it, and pass without.
    """

    name: str
    title: str
    caught_by: tuple[str, ...]
    patch: Path


def read_planted(patch: Path) -> Planted:
    """Read a patch's header.

    Raises:
        ValueError: it says neither what it does nor what catches it.
    """
    header = patch.read_text().partition("\ndiff --git")[0].splitlines()
    caught_by = [line.removeprefix("Caught-by:").split() for line in header if line.startswith("Caught-by:")]
    title = next((line for line in header if line and not line.startswith("Caught-by:")), "")
    if not title or len(caught_by) != 1:
        raise ValueError(f"{patch.name}: needs a title and one Caught-by line above its diff")
    return Planted(patch.stem, title, tuple(caught_by[0]), patch)


def main(arguments: list[str]) -> int:
    """Run all planted bugs, or those whose names contain one of the words given. Returns 1 if one went unnoticed."""
    parser = argparse.ArgumentParser(prog="make planted")
    parser.add_argument("words", nargs="*", help="only bugs whose names contain one of these")
    words = parser.parse_args(arguments).words
    planted = [read_planted(patch) for patch in sorted(PATCHES.glob("*.patch"))]
    chosen = [bug for bug in planted if not words or any(word in bug.name for word in words)]
    with ThreadPoolExecutor(PLANTED_AT_ONCE) as pool:
        caught = list(pool.map(_is_caught, chosen))
    unnoticed = [bug.name for bug, is_caught in zip(chosen, caught, strict=True) if not is_caught]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} planted bugs were caught", flush=True)
    for name in unnoticed:
        print(f"  not caught: {name}")
    return 1 if unnoticed or not chosen else 0


def _is_caught(bug: Planted) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        _copy_tracked_files(copy)
        python = _environment(copy)
        without = _pytest(python, copy, bug.caught_by)
        if without.returncode != 0:
            return _tell(bug, started, False, "its tests fail without it", without.stdout)
        applied = subprocess.run(
            ["git", "apply", str(bug.patch)], cwd=copy, capture_output=True, text=True, check=False
        )
        if applied.returncode != 0:
            return _tell(bug, started, False, "the patch doesn't apply any more", applied.stderr)
        with_bug = _pytest(python, copy, bug.caught_by)
    if with_bug.returncode == TESTS_FAILED:
        return _tell(bug, started, True, with_bug.stdout.strip().splitlines()[-1], "")
    return _tell(bug, started, False, f"pytest ended with {with_bug.returncode}", with_bug.stdout)


def _tell(bug: Planted, started: float, caught: bool, why: str, output: str) -> bool:
    verdict = f"  {'caught' if caught else 'NOT CAUGHT'} in {time.monotonic() - started:.0f} s: {why}"
    shown = [f"  | {line}" for line in output.splitlines()[-25:]]
    print("\n".join([f"{bug.name}: {bug.title}", verdict, *shown]), flush=True)
    return caught


def _copy_tracked_files(target: Path) -> None:
    """What the working tree holds of the files git knows, so that a fix can be tried before it is committed."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    files = [name for name in listing.decode().split("\0") if name and (REPOSITORY / name).is_file()]
    for name in files:
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes((REPOSITORY / name).read_bytes())


def _environment(copy: Path) -> Path:
    """An interpreter for the copy: its own sources first, then this environment's packages.

    An environment of its own rather than PYTHONPATH, because tests start the services as processes that inherit nothing.
    """
    venv.create(copy / ".venv", symlinks=True)
    packages = Path(sysconfig.get_path("purelib"))
    (ours,) = (copy / ".venv").glob("lib/python*/site-packages")
    sources = [
        *copy.glob("libs/*/src"),
        *copy.glob("services/*/src"),
        *copy.glob("deploy/examples/*/src"),
        copy / "deploy/local/src",
    ]
    # As a line of a .pth file the packages are only looked into: their own .pth files, which name the checkout, stay unread.
    (ours / "planted.pth").write_text("".join(f"{path}\n" for path in [*sources, packages]))
    return copy / ".venv" / "bin" / "python"


def _pytest(python: Path, copy: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "MEETAI_REQUIRE_ALL": ""}
    return subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_SECONDS
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
