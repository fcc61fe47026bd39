"""The commands: `up` (in the foreground or detached), `down`, `status`, `demo`.

Owns what a person reads and the exit codes: 0 done, 1 failed, 2 a setting or port must change first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence

import psutil  # type: ignore[import-untyped]  # ships no types

from meetai_local import client_environment, lineage, root_lock
from meetai_local.console import Console
from meetai_local.errors import StackError
from meetai_local.observing import observing
from meetai_local.part import LONGEST_STOP_SECONDS
from meetai_local.settings import StackSettings, from_environment
from meetai_local.stack import Stack
from meetai_servicekit.settings import SettingsError

STOP_SECONDS = LONGEST_STOP_SECONDS + 40.0  # the services, then the servers
POLL_SECONDS = 0.1
HANGUP_POLL_SECONDS = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    console = Console()
    if arguments[:1] == ["demo"]:
        return _demo(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        return _dispatch(options, from_environment(os.environ), console)
    except SettingsError as error:
        for problem in error.problems:
            console.line(f"settings: {problem}")
        return 2
    except StackError as error:
        console.line(str(error))
        return error.exit_code


def _dispatch(options: argparse.Namespace, settings: StackSettings, console: Console) -> int:
    if options.command == "down":
        return _down(settings, console)
    if options.command == "status":
        return _status(settings, console)
    if options.detach:
        return _up_detached(settings, console)
    return asyncio.run(_up(settings, console, ready_descriptor=options.ready_descriptor))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m meetai_local", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything on 127.0.0.1, until Ctrl-C")
    up.add_argument("--detach", action="store_true", help="return once everything is ready; `down` stops it")
    up.add_argument("--ready-descriptor", type=int, help=argparse.SUPPRESS)
    commands.add_parser("down", help="stop what `up` started")
    commands.add_parser("status", help="say what is running, and where")
    commands.add_parser("demo", help="hold a meeting (see demo --help)")
    return parser


async def _up(settings: StackSettings, console: Console, *, ready_descriptor: int | None) -> int:
    stack = Stack(settings, console=console)
    stop_count = 0

    def on_signal() -> None:
        nonlocal stop_count
        stop_count += 1
        console.line("stopping" if stop_count == 1 else "stopping at once")
        if stop_count == 1:
            stack.request_stop()
        else:
            lineage.end(settings.root, grace_seconds=0)

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    console.line(f"starting the local stack in {settings.root}")
    hangup = asyncio.create_task(_terminal_closed(sys.stdin.fileno()), name="terminal")
    hangup.add_done_callback(lambda task: None if task.cancelled() else stack.request_stop())
    try:
        async with stack:
            if stack.is_up:
                _summarise(stack.env, console)
                if ready_descriptor is not None:
                    os.write(ready_descriptor, b"1")
                    os.close(ready_descriptor)
            await stack.wait()
    finally:
        hangup.cancel()
    console.line("stopped")
    return 0


async def _terminal_closed(descriptor: int) -> None:
    """Return when the terminal is gone; never, without one. `make` keeps SIGHUP to itself where no shell is above it."""
    if not os.isatty(descriptor):
        await asyncio.Event().wait()
    with contextlib.suppress(termios.error):
        while True:
            termios.tcgetattr(descriptor)
            await asyncio.sleep(HANGUP_POLL_SECONDS)


def _summarise(environment: dict[str, str], console: Console) -> None:
    for name in ("TOKEN_URL", "WEBHOOK_BRIDGE_URL", "TRANSCRIPT_INGEST_URL", "AGENT_URL", "LIVEKIT_URL", "INNGEST_DEV"):
        console.line(f"  {name.lower().removesuffix('_url').replace('_', '-'):<18} {environment[name]}")
    for line in observing(environment, which=shutil.which):
        console.line(line)
    console.line("all that a client needs is in .local/env; stop with Ctrl-C or `make down`")


def _up_detached(settings: StackSettings, console: Console) -> int:
    """Start `up` in a session of its own, show its lines, and return when it is ready or has failed."""
    log = settings.root / "log" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with log.open("wb") as out:
        child = subprocess.Popen(
            (sys.executable, "-m", "meetai_local", "up", "--ready-descriptor", str(writer)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=(writer,),
            start_new_session=True,
        )
    os.close(writer)
    with log.open(encoding="utf-8", errors="replace") as shown:
        try:
            while True:
                code, is_ready = child.poll(), _has_byte(reader)
                for line in shown:
                    console.line(line.rstrip("\n"))
                if is_ready:
                    return 0
                if code is not None:
                    return code
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            child.terminate()
            return child.wait(timeout=STOP_SECONDS)


def _has_byte(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) == b"1"
    except BlockingIOError:
        return False


def _down(settings: StackSettings, console: Console) -> int:
    pid = root_lock.holder(settings.root)
    if pid is None:
        for ended in lineage.end(settings.root) if settings.root.exists() else ():
            console.line(f"ended what a killed run had left: {ended}")
        console.line("nothing is running")
        return 0
    console.line(f"stopping the local stack (pid {pid})")
    with contextlib.suppress(psutil.NoSuchProcess):
        supervisor = psutil.Process(pid)
        if root_lock.holder(settings.root) == pid:  # still the holder: the pid is its own
            supervisor.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while root_lock.holder(settings.root) is not None:
        if time.monotonic() > deadline:
            console.line(f"pid {pid} has not stopped after {STOP_SECONDS:.0f} s")
            return 1
        time.sleep(POLL_SECONDS)
    console.line("stopped")
    return 0


def _status(settings: StackSettings, console: Console) -> int:
    pid = root_lock.holder(settings.root)
    if pid is None:
        console.line("not running; `make up` starts it")
        return 1
    try:
        environment = client_environment.read(settings.root / "env")
    except FileNotFoundError:
        console.line(f"starting or stopping (pid {pid})")
        environment = {}
    else:
        console.line(f"running (pid {pid}), all that a client needs is in {settings.root / 'env'}")
    for member in sorted(lineage.members(settings.root), key=lambda member: (member.kind, member.part)):
        if member.is_top:
            console.event(member.part, f"pid {member.process.pid}")
    if environment:
        _summarise(environment, console)
    return 0


def _demo(arguments: Sequence[str]) -> int:
    """Hand over to the demo, which is imported only now: it needs LiveKit's client."""
    demo = importlib.import_module("meetai_local.demo.__main__")
    code: int = demo.main(arguments)
    return code
