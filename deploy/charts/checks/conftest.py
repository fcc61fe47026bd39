"""What the checks have in common: charts with what they depend on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from deploy.charts.checks.layout import CHARTS
from deploy.charts.checks.leaving_out import REQUIRE_ALL
from deploy.charts.checks.rendering import tool


@pytest.fixture(scope="session", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the packed charts. Packing puts into each chart what it depends on."""
    tool("helm")
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([CHARTS / "build", folder], check=True, capture_output=True, timeout=300)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(f"charts: left out: {len(skipped)} checks, for the reasons above")
        assert not REQUIRE_ALL, "MEETAI_REQUIRE_ALL=1: nothing may be left out"
