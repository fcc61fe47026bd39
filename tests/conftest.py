"""What every test has: its category by its folder, and servers by name."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from tests.categories import Categories
from tests.servers.fixtures import (
    _postgres_admin_url,
    _redis_session_url,
    header,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
)
from tests.servers.stacks import stack_settings

__all__ = [
    "_postgres_admin_url",
    "_redis_session_url",
    "postgres_server",
    "postgres_url",
    "redis_server",
    "redis_url",
    "stack_settings",
]

hypothesis.settings.register_profile(
    "meetai", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("meetai")
"""How fast an example is depends on what else the machine does."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the categories."""
    config.pluginmanager.register(Categories.from_environment(Path(__file__).parent), "meetai-categories")


def pytest_report_header() -> str:
    """Say which servers the integration tests use."""
    return header()
