"""What every test has: its category by its folder, and servers by name."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest
from tests.categories import Categories
from tests.progress import Progress
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
    "meetai",
    deadline=None,  # no test may depend on how busy the machine is; pytest-timeout bounds each
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
    derandomize="MEETAI_SAME_EXAMPLES" in os.environ,
)
hypothesis.settings.load_profile("meetai")
"""`make test` draws new examples each time. CI judges a change by the change: it sets MEETAI_SAME_EXAMPLES, and draws the same."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the categories; where the tests are spread over processes, also who says how far they are."""
    config.pluginmanager.register(Categories.from_environment(Path(__file__).parent), "meetai-categories")
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(), "meetai-progress")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write what a test printed so that pytest-xdist can send it between its processes, which takes no lone surrogates."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_report_header() -> str:
    """Say which servers the integration tests use."""
    return header()
