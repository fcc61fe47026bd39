"""What a check does that lacks its tool, its schemas or its cluster."""

from __future__ import annotations

import os
from typing import Final, NoReturn

import pytest

REQUIRE_ALL: Final = os.environ.get("MEETAI_REQUIRE_ALL") == "1"


def leave_out(reason: str) -> NoReturn:
    """Skip, or fail where nothing may be left out."""
    (pytest.fail if REQUIRE_ALL else pytest.skip)(reason)
