"""Every planted bug still fits the code, so that `make planted` never finds a stale one at the end of a long run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.planted.__main__ import PATCHES, REPOSITORY, read_planted


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_planted_bug_applies(patch: Path) -> None:
    """And names tests that are there."""
    bug = read_planted(patch)
    applied = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    for argument in bug.caught_by:
        if argument.startswith("tests/"):
            assert (REPOSITORY / argument.partition("::")[0]).exists()
