"""What a run that is spread over processes says while it lasts: a line for each file that has ended, instead of dots that name nothing."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

import pytest


class Progress:
    """A pytest plugin for pytest-xdist's controller. With `--dist loadfile` a process runs one file at a time."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._started = time.monotonic()
        self._file: dict[str, str] = {}  # of each process, what it is in
        self._outcomes: dict[str, Counter[str]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._terminal: pytest.TerminalReporter | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find where to write."""
        self._terminal = session.config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
        """No dot for a test that passed; a failure still shows at once."""
        return ("passed", "", "") if report.when == "call" and report.passed else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test; its process's previous file has ended when it is of another."""
        process = report.__dict__.get("worker_id", "gw?")
        file = report.nodeid.partition("::")[0]
        if file != self._file.setdefault(process, file):
            self._say_ended(process)
            self._file[process] = file
        self._seconds[file] += report.duration
        if report.when == "call" or not report.passed:
            self._outcomes.setdefault(file, Counter())[report.outcome] += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process's last file has ended with it."""
        if node.gateway.id in self._file:
            self._say_ended(node.gateway.id)

    def _say_ended(self, process: str) -> None:
        file = self._file.pop(process)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.pop(file, {}).items())
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        if self._terminal is not None:
            self._terminal.ensure_newline()
            self._terminal.write_line(
                f"{minutes:3}:{seconds:02}  {process}  {file}  {outcomes}, {self._seconds[file]:.1f} s"
            )
