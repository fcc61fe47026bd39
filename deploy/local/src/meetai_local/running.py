"""One part as a running process: spawned into a session of its own, watched until it serves, stopped in bounded time.

Owns the process and its log. Must not decide what a crash means: `stack.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from meetai_local import lineage
from meetai_local.accounts import identity
from meetai_local.errors import PartFailedError
from meetai_local.part import Part

READY_POLL_SECONDS = 0.1
SHOWN_LOG_LINES = 12


class RunningPart:
    """The process of one part, over all its restarts."""

    def __init__(self, part: Part, *, root: Path, run: str) -> None:
        """Take what to run, and whose it is."""
        self.part = part
        self.log_path = root / "log" / f"{part.name}.log"
        self.is_ready = asyncio.Event()
        self.is_meant_to_run = False
        self._environment = {**os.environ, **part.environment, **lineage.marks(part, root, run)}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The living process.

        Raises:
            PartFailedError: It isn't running.
        """
        if self._process is None or self._process.returncode is not None:
            raise PartFailedError(f"{self.part.name} is not running")
        return self._process

    def rotate_log(self) -> None:
        """Begin a new log and keep the previous one beside it."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    async def prepare(self) -> None:
        """Make its folders and run its commands that come first.

        Raises:
            PartFailedError: One of them failed or took too long.
        """
        if self.part.lay_out:
            self.part.lay_out()
        self.part.folder.mkdir(parents=True, exist_ok=True)
        for command in self.part.before:
            code = await self.run_to_end(command, seconds=self.part.before_seconds)
            if code != 0:
                raise PartFailedError(
                    f"{self.part.name}: `{_shown(command)}` {how_it_ended(code)}\n{self.last_lines()}"
                )

    async def run_to_end(self, command: tuple[str, ...], *, seconds: float) -> int:
        """Run another command as this part (its environment, user and log); it ends with the call, however that ends.

        Returns:
            Its exit code; negative for a signal, as when `seconds` were not enough.
        """
        process = await self._spawn(command)
        try:
            async with asyncio.timeout(seconds):
                return await process.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            kill_group(process.pid)
            await process.wait()

    async def start(self) -> asyncio.subprocess.Process:
        """Start it and wait until it serves.

        Raises:
            PartFailedError: It ended instead, or didn't serve in time; with the end of its log.
        """
        self.is_meant_to_run = True
        self._process = process = await self._spawn(self.part.command)
        deadline = time.monotonic() + self.part.ready_seconds
        while (why_not := await asyncio.to_thread(self.part.ready)) is not None:
            if process.returncode is not None:
                raise PartFailedError(f"{self.part.name} {how_it_ended(process.returncode)}\n{self.last_lines()}")
            if time.monotonic() > deadline:
                raise PartFailedError(
                    f"{self.part.name} not ready after {self.part.ready_seconds:.0f} s: {why_not}\n{self.last_lines()}"
                )
            await asyncio.sleep(READY_POLL_SECONDS)
        self.is_ready.set()
        return process

    async def stop(self) -> None:
        """End it in good order, and all that it left in its group; returns when nothing of it runs."""
        self.is_meant_to_run = False
        self.is_ready.clear()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.part.stop_seconds):
                await process.wait()
        kill_group(process.pid)
        await process.wait()

    def last_lines(self) -> str:
        """The end of its log, for the person who must find out why it ended."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LOG_LINES:]
        except OSError:
            lines = []
        return "\n".join([*(f"    {line[:300]}" for line in lines), f"    (all of it: {self.log_path})"])

    async def _spawn(self, command: tuple[str, ...]) -> asyncio.subprocess.Process:
        with self.log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                cwd=self.part.folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **identity(self.part.user),
            )


def kill_group(leader: int) -> None:
    """SIGKILL what is left of a group whose leader we started and have not forgotten."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _shown(command: tuple[str, ...]) -> str:
    return " ".join(command)[:80]
