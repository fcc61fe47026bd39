"""Which processes belong to a stack: every child carries the stack's folder, run and way to stop in its environment.

A child's children inherit the mark, whatever group or session they move to, so nobody has to keep a list of process ids
that a `kill -9` would make stale. Owns marking, finding and ending; must not start anything, nor touch a process that
carries no mark and descends from none that does.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct

from meetai_local.part import LONGEST_STOP_SECONDS, Kind, Part

ROOT_KEY = "MEETAI_STACK_ROOT"
RUN_KEY = "MEETAI_STACK_RUN"
PART_KEY = "MEETAI_STACK_PART"  # "<kind>:<stop signal>:<name>"

GRACE_SECONDS = {Kind.SERVICE: LONGEST_STOP_SECONDS, Kind.SERVER: 20.0}
"""How long each kind has for an orderly end."""
POLL_SECONDS = 0.05
CLEAN_LOOKS = 2  # a process between fork and exec is seen by the second look only


class Member(Struct, frozen=True, kw_only=True):
    """A living process of a stack. `is_top` is true for what the stack itself started, false for its descendants."""

    process: psutil.Process
    part: str
    kind: int
    stop_signal: int
    is_top: bool

    def __str__(self) -> str:
        """Name the part, its pid and program, as a person needs to find it."""
        try:
            program = " ".join(self.process.cmdline()[:3])
        except psutil.Error:
            program = "?"
        return f"{self.part} (pid {self.process.pid}: {program})"


def marks(part: Part, root: Path, run: str) -> dict[str, str]:
    """The environment that makes a process, and all that descends from it, a member of this run."""
    return {
        ROOT_KEY: str(root.resolve()),
        RUN_KEY: run,
        PART_KEY: f"{int(part.kind)}:{int(part.stop_signal)}:{part.name}",
    }


def members(root: Path, run: str | None = None) -> list[Member]:
    """All living processes of the stack in `root`: of one run, or of any."""
    processes: dict[int, psutil.Process] = {}
    own_mark: dict[int, str] = {}
    for process in psutil.process_iter(["ppid", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        processes[process.pid] = process
        environment = _environment_of(process)
        if environment.get(ROOT_KEY) == str(root.resolve()) and run in {None, environment.get(RUN_KEY)}:
            own_mark[process.pid] = environment[PART_KEY]

    def mark_of(pid: int) -> str | None:
        """Its own mark or its ancestors': PostgreSQL's children overwrite their environment with a title for `ps`."""
        while pid in processes:
            if pid in own_mark:
                return own_mark[pid]
            pid = processes[pid].info["ppid"]
        return None

    return [
        _member(process, mark, is_top=mark_of(process.info["ppid"]) is None)
        for process in processes.values()
        if (mark := mark_of(process.pid)) is not None
    ]


def end(root: Path, run: str | None = None, *, grace_seconds: float | None = None) -> list[str]:
    """End all members: services, then servers; each with its own stop signal, and SIGKILL for what outlives it.

    They have `grace_seconds` for that, the services and then the servers; `GRACE_SECONDS` of their kind when it is None.
    psutil compares start times before it signals, so a process id that was given away meanwhile is left alone.

    Returns:
        What was ended, one text a part.
    """
    ended = [str(member) for member in members(root, run) if member.is_top]
    for kind in (Kind.SERVICE, Kind.SERVER):
        deadline = time.monotonic() + (GRACE_SECONDS[kind] if grace_seconds is None else grace_seconds)
        leaders = [member for member in members(root, run) if member.is_top and member.kind >= kind]
        for leader in leaders:
            _signal(leader.process, leader.stop_signal)
        while at_kind := [member for member in members(root, run) if member.kind >= kind]:
            pids = {member.process.pid for member in at_kind}
            if not pids.intersection(leader.process.pid for leader in leaders) or time.monotonic() > deadline:
                for member in at_kind:
                    _signal(member.process, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    looks = 0
    while looks < CLEAN_LOOKS:
        strays = members(root, run)
        looks = 0 if strays else looks + 1
        for member in strays:
            _signal(member.process, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return ended


def _member(process: psutil.Process, mark: str, *, is_top: bool) -> Member:
    kind, _, rest = mark.partition(":")
    stop_signal, _, name = rest.partition(":")
    return Member(process=process, part=name, kind=int(kind), stop_signal=int(stop_signal), is_top=is_top)


def _environment_of(process: psutil.Process) -> Mapping[str, str]:
    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError):  # gone meanwhile, or another user's
        return {}
    return environment


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
