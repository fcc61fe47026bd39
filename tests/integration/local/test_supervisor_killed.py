"""The stack as a program: signals end it in good order, and `kill -9` leaves nothing and can be followed by a start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.waiting import wait_until

from meetai_local import lineage

REPOSITORY = Path(__file__).parents[3]
DEADLINE_SECONDS = 40  # the stand-ins end as soon as they are told


@contextmanager
def _supervisor(root: Path) -> Iterator[subprocess.Popen[str]]:
    """The stand-in stack as a process of its own, ready; ended with the body."""
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.integration.local.stand_ins", str(root)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: (root / "env").exists() or process.poll() is not None, seconds=DEADLINE_SECONDS)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)
        lineage.end(root, grace_seconds=0)


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """`kill -9`: services and servers stop in good order, and children that ignore it are killed."""
    with _supervisor(tmp_path) as supervisor:
        assert len(lineage.members(tmp_path)) == 6
        supervisor.kill()
        wait_until(lambda: not lineage.members(tmp_path), seconds=DEADLINE_SECONDS)
    stops = (tmp_path / "serving" / "stops").read_text().split()
    assert sorted(stops) == ["bus", "database", "web", "worker"]
    assert set(stops[:2]) == {"web", "worker"}


def test_start_works_at_once_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    """No cleaning: what the killed run left, its environment file too, is made good."""
    with _supervisor(tmp_path) as supervisor:
        supervisor.kill()
        supervisor.wait()
        assert (tmp_path / "env").exists()
        (tmp_path / "serving" / "worker.ran").unlink()
        (tmp_path / "env").unlink()
        with _supervisor(tmp_path) as second:
            assert second.poll() is None, second.communicate()
            assert {member.part for member in lineage.members(tmp_path)} == {"bus", "database", "web", "worker"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stack_stops_in_good_order_when_a_signal_asks(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, `make down` and a closed terminal all leave nothing, with exit code 0."""
    with _supervisor(tmp_path) as supervisor:
        os.kill(supervisor.pid, number)
        assert supervisor.wait(timeout=DEADLINE_SECONDS) == 0
        assert lineage.members(tmp_path) == []
        assert not (tmp_path / "env").exists()
    assert sorted((tmp_path / "serving" / "stops").read_text().split()) == ["bus", "database", "web", "worker"]


def test_exit_code_is_one_when_a_server_crashes(tmp_path: Path) -> None:
    """The last line a person reads names the server."""
    with _supervisor(tmp_path) as supervisor:
        os.kill(int((tmp_path / "serving" / "bus.pid").read_text()), signal.SIGKILL)
        assert supervisor.wait(timeout=DEADLINE_SECONDS) == 1
        assert supervisor.stdout is not None
        assert "bus was ended by SIGKILL" in supervisor.stdout.read()
        assert lineage.members(tmp_path) == []
