"""The four test categories: a test's top folder is its marker, and the slow ones run last.

Also owns the rule of CI: with `MEETAI_REQUIRE_ALL=1` a category that ran no test, and any skip, fails the session.
Where pytest-xdist spreads the tests over processes, its controller judges; it sees their tests' reports, and is told which files they skipped.
"""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

CATEGORIES = ("unit", "contract", "integration", "e2e")
REQUIRE_ALL_KEY = "MEETAI_REQUIRE_ALL"
_SKIPPED_FILES_KEY = "meetai_skipped_files"


def do_without(what: str) -> NoReturn:
    """Leave out a test that needs what this machine hasn't got; where every test has to run, fail and say what to install."""
    if os.environ.get(REQUIRE_ALL_KEY) == "1":
        pytest.fail(f"{REQUIRE_ALL_KEY}=1 needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")


class Categories:
    """A pytest plugin: marks and orders the tests, and counts what ran."""

    def __init__(self, root: Path, *, require_all: bool) -> None:
        """Take the folder that holds the category folders."""
        self._root = root
        self._require_all = require_all
        self._ran: collections.Counter[str] = collections.Counter()
        self._skipped: list[str] = []
        self._skipped_files: set[str] = set()

    @classmethod
    def from_environment(cls, root: Path) -> Categories:
        """As `MEETAI_REQUIRE_ALL` says."""
        return cls(root, require_all=os.environ.get(REQUIRE_ALL_KEY) == "1")

    def category_of(self, path: Path) -> str:
        """The category of a test file.

        Raises:
            pytest.UsageError: The file is in none of the category folders.
        """
        try:
            top = path.relative_to(self._root).parts[0]
        except ValueError:
            top = ""
        if top not in CATEGORIES:
            raise pytest.UsageError(f"{path}: a test belongs in one of tests/{{{','.join(CATEGORIES)}}}/")
        return top

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give each test its one category marker, and put the categories in order."""
        category: dict[pytest.Item, str] = {}
        for item in items:
            category[item] = self.category_of(item.path)
            others = [name for name in CATEGORIES if item.get_closest_marker(name) and name != category[item]]
            if others:
                raise pytest.UsageError(f"{item.nodeid}: marked {others[0]} but in tests/{category[item]}/")
            item.add_marker(category[item])
        items.sort(key=lambda item: CATEGORIES.index(category[item]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what ran and what was skipped."""
        if report.skipped:
            self._skipped.append(report.nodeid)
        elif report.when == "call":
            self._ran.update(name for name in CATEGORIES if name in report.keywords)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count whole files that skip themselves."""
        if report.skipped:
            self._skipped_files.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over which files one of pytest-xdist's processes skipped."""
        self._skipped_files.update(getattr(node, "workeroutput", {}).get(_SKIPPED_FILES_KEY, ()))

    def problems(self) -> list[str]:
        """What MEETAI_REQUIRE_ALL forbids and has happened."""
        if not self._require_all:
            return []
        unrun = [f"no {name} test ran" for name in CATEGORIES if not self._ran[name]]
        return [*unrun, *(f"skipped: {nodeid}" for nodeid in [*sorted(self._skipped_files), *self._skipped])]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a passing session into a failing one if a category did not run."""
        workeroutput = getattr(session.config, "workeroutput", None)
        if workeroutput is not None:
            workeroutput[_SKIPPED_FILES_KEY] = sorted(self._skipped_files)
        elif self.problems() and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why the session failed."""
        for problem in self.problems():
            terminalreporter.write_line(f"{REQUIRE_ALL_KEY}: {problem}", red=True)
