"""The commands that a person types, where they need no part to run."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

from tests.servers.ports import free_ports

from meetai_local.app import _terminal_closed
from meetai_local.settings import Ports


def _run(root: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "meetai_local", command),
        env={**os.environ, "MEETAI_LOCAL_ROOT": str(root), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_up_exits_with_two_when_a_port_is_in_use(tmp_path: Path) -> None:
    """One line with the port, its holder and the setting; nothing has been started."""
    ports = free_ports()
    settings = {Ports.setting(field): str(getattr(ports, field)) for field in Ports.__struct_fields__}
    with socket.create_server(("127.0.0.1", ports.agent)):
        done = _run(tmp_path, "up", **settings)
    assert done.returncode == 2
    assert done.stdout.splitlines()[1:] == [
        line
        for line in done.stdout.splitlines()
        if line.startswith(f"port {ports.agent} is in use by pid {os.getpid()} (")
    ]
    assert done.stdout.rstrip().endswith("set MEETAI_AGENT_PORT to choose another")
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}


def test_up_exits_with_two_when_settings_are_wrong(tmp_path: Path) -> None:
    """All of them at once."""
    done = _run(tmp_path, "up", MEETAI_TOKEN_PORT="x", MEETAI_AGENT_PORT="y")
    assert done.returncode == 2
    assert [line.split(":")[1].strip() for line in done.stdout.splitlines()] == [
        "MEETAI_TOKEN_PORT",
        "MEETAI_AGENT_PORT",
    ]


def test_down_and_status_say_so_when_nothing_runs(tmp_path: Path) -> None:
    """Stopping twice is no failure."""
    down, status = _run(tmp_path, "down"), _run(tmp_path, "status")
    assert (down.returncode, down.stdout) == (0, "nothing is running\n")
    assert (status.returncode, status.stdout) == (1, "not running; `make up` starts it\n")


async def test_closed_terminal_is_noticed_without_a_signal() -> None:
    """`make` at the top of a session keeps SIGHUP to itself."""
    ours, theirs = pty.openpty()
    watch = asyncio.create_task(_terminal_closed(theirs))
    await asyncio.sleep(0)  # it has seen the terminal once
    os.close(ours)
    await asyncio.wait_for(watch, timeout=10)
    os.close(theirs)
