"""A process says with its exit code how it ended, and ends when its work does."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.servicekit.tiny_process import PATIENCE_SECONDS, REPOSITORY, tiny


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_ends_with_zero_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    """Its background work is cancelled and waited for."""
    with tiny("well", tmp_path) as service:
        service.wait_until(service.is_alive)
        service.process.send_signal(number)
        assert service.exit_code() == 0
        assert "work closed: True" in service.log


@pytest.mark.parametrize(
    ("mode", "event"), [("work_fails", "background_work_failed"), ("work_ends", "background_work_ended")]
)
def test_process_ends_with_one_when_its_work_ends(tmp_path: Path, mode: str, event: str) -> None:
    """In good order, so that the platform starts a fresh one; the log names the work and not its data."""
    with tiny(mode, tmp_path) as service:
        service.wait_until(service.is_alive)
        assert service.get("/go").text == "going"
        assert service.exit_code() == 1
        assert event in service.log
        assert "what Ann said" not in service.log


def test_process_ends_with_one_when_it_cannot_start(tmp_path: Path) -> None:
    """What the start-up raised is in the log, by its type."""
    with tiny("start_fails", tmp_path) as service:
        assert service.exit_code() == 1
        assert '"failed":true' in service.log


def test_process_ends_with_zero_when_told_to_while_it_starts(tmp_path: Path) -> None:
    """A signal that comes early is not lost."""
    with tiny("start_is_slow", tmp_path) as service:
        service.wait_until(lambda: "starting slowly" in service.log)
        service.process.send_signal(signal.SIGTERM)
        assert service.exit_code() == 0


def test_open_request_is_answered_when_the_process_is_told_to_end(tmp_path: Path) -> None:
    """Within the time that is allowed for it."""
    with tiny("well", tmp_path) as service, ThreadPoolExecutor(1) as pool:
        service.wait_until(service.is_alive)
        answer = pool.submit(service.get, "/slow")
        service.wait_until(lambda: "answering slowly" in service.log)
        service.process.send_signal(signal.SIGTERM)
        assert answer.result(timeout=PATIENCE_SECONDS).text == "answered"
        assert service.exit_code() == 0


def test_process_ends_with_two_when_the_port_is_taken(tmp_path: Path) -> None:
    """Which port, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "tests.integration.servicekit.tiny_service", "well", port]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
