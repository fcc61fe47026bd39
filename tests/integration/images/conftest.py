"""The images, built once for the tests of this folder."""

from __future__ import annotations

import pytest
from tests.servers import images

collect_ignore_glob = images.files_that_need_no_engine()


@pytest.fixture(scope="session")
def built() -> dict[str, str]:
    """Each image's id."""
    return images.built()
