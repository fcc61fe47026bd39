"""An embedded server that a test controls: stop, start again on the same port and data, freeze, thaw."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from meetai_local import guardian, lineage
from meetai_local.accounts import identity
from meetai_local.part import Part

POLL_SECONDS = 0.05
RUN = "tests"


class EmbeddedServer:
    """One server process under a test's control; it ends with the context, and with pytest even if that is killed.

    All methods block: from a coroutine call them by `await asyncio.to_thread(server.stop)`.
    """

    def __init__(self, part: Part, *, url: str) -> None:
        """Prepare the server; entering the context starts it. `url` stays the same over restarts."""
        self.url = url
        self._part = part
        self._root = part.folder
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        self._guardian = subprocess.Popen(
            guardian.command(self._root, RUN), stdin=subprocess.PIPE, start_new_session=True
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._guardian is not None:
            self._guardian.communicate(timeout=30)

    @property
    def pid(self) -> int:
        """The server's main process."""
        return self._running().pid

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            RuntimeError: It ended, or did not serve within the part's `ready_seconds`; with the end of its log.
        """
        if self._part.lay_out:
            self._part.lay_out()
        for command in self._part.before:
            self._spawn(command).wait(timeout=self._part.before_seconds)
        self._process = self._spawn(self._part.command)
        deadline = time.monotonic() + self._part.ready_seconds
        while (why_not := self._part.ready()) is not None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{self._part.name} does not serve: {why_not}\n{log}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End it in good order; its data stays."""
        self._end(self._part.stop_signal)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it (SIGSTOP, with its children): connections stay open and nothing answers."""
        for member in lineage.members(self._root, RUN):
            member.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        for member in lineage.members(self._root, RUN):
            member.process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._root.parent / f"{self._root.name}.log"

    def _spawn(self, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        marks = lineage.marks(self._part, self._root, RUN)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._root,
                env={**os.environ, **self._part.environment, **marks},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **identity(self._part.user),
            )

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.resume()
        process.send_signal(number)
        try:
            process.wait(timeout=self._part.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)
        lineage.end(self._root, RUN, grace_seconds=2)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self._part.name} is not running")
        return self._process
