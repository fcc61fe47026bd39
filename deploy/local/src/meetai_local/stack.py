"""The local stack as one thing: started in order, watched, stopped in order, and nothing left behind.

Owns what a crash means: a service is started again, at most `MAX_RESTARTS` times a minute; a server ends the stack. A
guardian process ends everything if this one is killed; a kill of both is made good by the next start.
"""

from __future__ import annotations

import asyncio
import collections
import signal
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec

from meetai_local import client_environment, lineage, ports_in_use, root_lock
from meetai_local.composition import Composition, Plan, whole_stack
from meetai_local.console import Console
from meetai_local.credentials import load_or_make
from meetai_local.errors import PartFailedError, PortsInUseError, StackError
from meetai_local.guarded import guarded
from meetai_local.part import Kind
from meetai_local.running import RunningPart, how_it_ended, kill_group
from meetai_local.settings import StackSettings

MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0


class Stack:
    """`async with Stack(settings) as stack:` everything is ready inside, and nothing of it runs afterwards.

    Attributes:
        env: What a client needs; the same as in `<root>/env`.
    """

    def __init__(
        self,
        settings: StackSettings | None = None,
        *,
        compose: Composition = whole_stack,
        console: Console | None = None,
    ) -> None:
        """Take what to start; entering starts it."""
        settings = settings or StackSettings()
        self.settings = msgspec.structs.replace(settings, root=settings.root.resolve())
        self.env: dict[str, str] = {}
        self._root = self.settings.root
        self._run = uuid.uuid4().hex
        self._compose = compose
        self._console = console or Console(None)
        self._parts: dict[str, RunningPart] = {}
        self._crashes: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
        self._is_up = asyncio.Event()
        self._stop_requested = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._owner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start everything.

        Raises:
            StackError: It did not come up; what had been started is stopped again.
        """
        self._owner = asyncio.create_task(self._own(), name="stack")
        up = asyncio.create_task(self._is_up.wait(), name="stack is up")
        try:
            await asyncio.wait({self._owner, up}, return_when=asyncio.FIRST_COMPLETED)
            if self._owner.done():
                await self._owner
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            up.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_up(self) -> bool:
        """Whether everything became ready; false when the stop was requested before that."""
        return self._is_up.is_set()

    def request_stop(self) -> None:
        """Begin to stop; `wait` returns when it is done."""
        self._stop_requested.set()

    async def wait(self) -> None:
        """Return when everything has been stopped.

        Raises:
            StackError: A part's failure stopped it.
        """
        if self._owner is not None:
            await asyncio.shield(self._owner)

    async def stop(self) -> None:
        """Stop everything; again `StackError` if a failure has already done so."""
        self.request_stop()
        await self.wait()

    def pid(self, part: str) -> int:
        """The part's main process."""
        return self._parts[part].process.pid

    def log(self, part: str) -> str:
        """What the part has printed since the stack started."""
        return self._parts[part].log_path.read_text(encoding="utf-8", errors="replace")

    async def kill(self, part: str) -> None:
        """SIGKILL the main process of a part, as a crash would; its children follow, as in a container.

        A service comes back by itself unless `restarts_services` is off; a server stays down until `start`.
        """
        running = self._parts[part]
        process = running.process
        running.is_ready.clear()
        if running.part.kind is Kind.SERVER:
            running.is_meant_to_run = False
        process.send_signal(signal.SIGKILL)
        await process.wait()
        kill_group(process.pid)

    async def start(self, part: str) -> None:
        """Start a part that is down, and wait until it serves.

        Raises:
            PartFailedError: It didn't come up.
        """
        await self._parts[part].prepare()
        await self._start(self._parts[part])

    async def stop_part(self, part: str) -> None:
        """Stop one part in good order; it stays down until `start`."""
        await self._parts[part].stop()

    async def restart(self, part: str) -> None:
        """Stop one part in good order and start it again."""
        await self.stop_part(part)
        await self.start(part)

    async def ready(self, part: str, *, seconds: float = 60.0) -> None:
        """Wait until a part serves, as after a `kill`.

        Raises:
            TimeoutError: It didn't.
        """
        async with asyncio.timeout(seconds):
            await self._parts[part].is_ready.wait()

    def leftovers(self) -> list[str]:
        """The living processes of this stack; after the stop there must be none."""
        return [str(member) for member in lineage.members(self._root)]

    async def _own(self) -> None:
        """The whole life of the stack, in one task that owns all others."""
        with root_lock.held(self._root):
            await self._clear_away()
            credentials = load_or_make(self._root / "secrets.json")
            self.env = client_environment.client_environment(self.settings, credentials)
            plan = Plan(
                settings=self.settings,
                credentials=credentials,
                client_environment=self.env,
                run=self._run,
                console=self._console,
            )
            try:
                async with (
                    guarded(self._root, self._run, self._console),
                    self._stopped_at_the_end(),
                    asyncio.TaskGroup() as group,
                ):
                    self._group = group
                    self._spawn(self._start_all(plan), "start")
                    await self._stop_requested.wait()
                    for task in self._tasks:
                        task.cancel()
            except BaseExceptionGroup as errors:
                raise _first_stack_error(errors) from errors

    async def _clear_away(self) -> None:
        """Make good what a killed stack left, and refuse to start where others listen."""
        (self._root / "env").unlink(missing_ok=True)
        for ended in await asyncio.to_thread(lineage.end, self._root):
            self._console.line(f"ended what an earlier, killed run had left: {ended}")
        self.settings = msgspec.structs.replace(
            self.settings, inngest_url=ports_in_use.inngest_elsewhere(self.settings)
        )
        if problems := await asyncio.to_thread(ports_in_use.problems, self.settings):
            raise PortsInUseError("\n".join(problems))

    @asynccontextmanager
    async def _stopped_at_the_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            (self._root / "env").unlink(missing_ok=True)
            await self._stop_all()

    async def _start_all(self, plan: Plan) -> None:
        started = time.monotonic()
        parts = await self._compose(plan)
        self._parts = {part.name: RunningPart(part, root=self._root, run=self._run) for part in parts}
        async with asyncio.TaskGroup() as group:
            for running in self._parts.values():
                group.create_task(self._start_in_order(running), name=f"start {running.part.name}")
        client_environment.write(self._root / "env", self.env)
        self._console.line(f"ready in {time.monotonic() - started:.1f} s")
        self._is_up.set()

    async def _start_in_order(self, running: RunningPart) -> None:
        for name in running.part.after:
            await self._parts[name].is_ready.wait()
        started = time.monotonic()
        self._console.event(running.part.name, "starting")
        running.rotate_log()
        await running.prepare()
        await self._start(running)
        address = running.part.shown_address
        self._console.event(running.part.name, f"ready in {time.monotonic() - started:.1f} s  {address}".rstrip())

    async def _start(self, running: RunningPart) -> None:
        process = await running.start()
        self._spawn(self._watch(running, process), f"watch {running.part.name}")

    async def _watch(self, running: RunningPart, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of one process and do what its end means."""
        code = await process.wait()
        running.is_ready.clear()
        kill_group(process.pid)
        if not running.is_meant_to_run:
            return
        name, how = running.part.name, how_it_ended(code)
        if running.part.kind is Kind.SERVER:
            raise PartFailedError(
                f"{name} {how}; without it nothing works, so everything is stopped\n{running.last_lines()}"
            )
        if not self.settings.restarts_services:
            running.is_meant_to_run = False
            self._console.event(name, f"!! {how}; it stays down")
            return
        while True:
            self._count_crash(running, how)
            self._console.event(name, f"!! {how}; starting it again (log: {running.log_path})")
            try:
                await self._start(running)
            except PartFailedError as failure:
                how = str(failure).partition("\n")[0].removeprefix(f"{name} ")
            else:
                self._console.event(name, "ready again")
                return

    def _count_crash(self, running: RunningPart, how: str) -> None:
        """Raise PartFailedError at the crash that is one too many."""
        crashes, now = self._crashes[running.part.name], time.monotonic()
        crashes.append(now)
        while now - crashes[0] > RESTART_WINDOW_SECONDS:
            crashes.popleft()
        if len(crashes) > MAX_RESTARTS:
            raise PartFailedError(
                f"{running.part.name} {how}, after {MAX_RESTARTS} restarts within a minute; everything is stopped\n"
                f"{running.last_lines()}"
            )

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        if self._group is None:
            work.close()
            raise StackError("the stack is not running")
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop_all(self) -> None:
        """Services first, for they flush into the servers; then what is left of anything."""
        self._group = None
        for kind in (Kind.SERVICE, Kind.SERVER):
            async with asyncio.TaskGroup() as group:
                for running in self._parts.values():
                    if running.part.kind is kind:
                        group.create_task(running.stop(), name=f"stop {running.part.name}")
        await asyncio.to_thread(lineage.end, self._root, self._run, grace_seconds=0)


def _first_stack_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one to show a person; anything unexpected is shown whole."""
    ours, others = errors.split(StackError)
    if others is not None or ours is None:
        return errors
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
