"""Runs Inngest functions for the recorder, over the protocol that Inngest's SDK speaks (inngest 0.5.19): what a demo needs of a dev server.

Owns: registration as the SDK sends it, a run for each new event that a function is triggered by, one step after another, tries again as
often as the function says. Knows `step.run` and `step.sleep` alone, keeps runs in memory, and ignores concurrency, throttling and
cancellation; it is no Inngest, and says so where it refuses.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Protocol

import httpx
import msgspec
from msgspec import Meta, Struct

MAX_CALLS: Final = 100
"""Of one run: a function that never ends is a mistake."""
MAX_RUNS: Final = 1_000
"""Runs that are remembered, and event ids that aren't run twice."""
AT_ONCE: Final = 8
CALL_SECONDS: Final = 600.0
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 10.0


class _Trigger(Struct, frozen=True):
    event: str = ""


class _Retries(Struct, frozen=True):
    attempts: Annotated[int, Meta(ge=0, le=20)] = 3


class _Runtime(Struct, frozen=True):
    url: str


class _Step(Struct, frozen=True):
    runtime: _Runtime
    retries: _Retries = _Retries()


class _Function(Struct, frozen=True):
    id: str
    triggers: tuple[_Trigger, ...]
    steps: dict[str, _Step]


class Registration(Struct, frozen=True):
    """What the SDK posts to `/fn/register`, as far as it counts here."""

    functions: tuple[_Function, ...]


class _Op(Struct, frozen=True):
    """One step's outcome in a 206."""

    id: str
    op: str
    name: str = ""
    data: Any = None
    error: Any = None


class TriggeringEvent(Protocol):
    """What the recorder keeps of an event."""

    @property
    def id(self) -> str:
        """The sender's; the same twice runs nothing."""

    @property
    def name(self) -> str:
        """Which functions it triggers."""

    @property
    def data(self) -> dict[str, Any]:
        """Theirs to read."""

    @property
    def ts(self) -> int:
        """Unix milliseconds."""


class Run(Struct, kw_only=True, rename="camel"):
    """One run. `calls` counts the requests it took."""

    function_id: str
    event_id: str
    status: Literal["Running", "Completed", "Failed"] = "Running"
    calls: int = 0
    reason: str = ""


class FunctionRunner:
    """Functions, and their runs.

    Args:
        sleep: Waits so many seconds.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._functions: dict[str, _Function] = {}
        self._seen: deque[str] = deque(maxlen=MAX_RUNS)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="function")
        self._sleep = sleep
        self.runs: deque[Run] = deque(maxlen=MAX_RUNS)

    def register(self, registration: Registration) -> None:
        """Take functions up, or their new versions."""
        self._functions |= {function.id: function for function in registration.functions}

    def start(self, events: Iterable[TriggeringEvent]) -> None:
        """Run what these events trigger; an id that was here before triggers nothing."""
        for event in events:
            if event.id in self._seen:
                continue
            self._seen.append(event.id)
            for function in self._functions.values():
                if any(trigger.event == event.name for trigger in function.triggers):
                    run = Run(function_id=function.id, event_id=event.id)
                    self.runs.append(run)
                    self._threads.submit(self._run_to_end, run, function, event)

    def _run_to_end(self, run: Run, function: _Function, event: TriggeringEvent) -> None:
        try:
            self._run(run, next(iter(function.steps.values())), event)
        except Exception as error:  # noqa: BLE001 - a run that fails is shown as such, and ends no other
            run.status, run.reason = "Failed", type(error).__name__

    def _run(self, run: Run, step: _Step, event: TriggeringEvent) -> None:
        payload = {"name": event.name, "id": event.id, "data": event.data, "ts": event.ts}
        max_attempts = step.retries.attempts + 1
        done: dict[str, Any] = {}
        attempt, run_id = 0, uuid.uuid4().hex
        while run.calls < MAX_CALLS:
            run.calls += 1
            context = {
                "attempt": attempt,
                "max_attempts": max_attempts,
                "disable_immediate_execution": False,
                "run_id": run_id,
                "stack": {"stack": list(done)},
            }
            body = {"ctx": context, "event": payload, "events": [payload], "steps": done, "use_api": False}
            status, answer, is_final = _call(step.runtime.url, body)
            if status == 200:
                run.status = "Completed"
                return
            failed = status != 206
            for op in msgspec.convert(answer, list[_Op]) if status == 206 else []:
                match op.op:
                    case "StepRun":
                        done[op.id], attempt = {"data": op.data}, 0
                    case "Sleep":
                        self._sleep(_seconds_until(op.name))
                        done[op.id], attempt = None, 0
                    case "StepFailed":
                        done[op.id], attempt = {"error": op.error}, 0
                    case "StepError":
                        failed = True
                    case other:
                        run.status, run.reason = "Failed", f"this stand-in doesn't know the step {other}"
                        return
            if failed:
                attempt += 1
                if is_final or attempt >= max_attempts:
                    run.status, run.reason = "Failed", f"HTTP {status} at attempt {attempt}"
                    return
                self._sleep(min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS))
        run.status, run.reason = "Failed", f"more than {MAX_CALLS} calls"


def _call(url: str, body: object) -> tuple[int, Any, bool]:
    """The status, the answer and whether trying again is of no use; status 0 when there is no answer."""
    headers = {"Content-Type": "application/json", "X-Inngest-Server-Kind": "dev"}
    try:
        response = httpx.post(
            url, content=msgspec.json.encode(body), headers=headers, timeout=CALL_SECONDS, trust_env=False
        )
        answer = response.json() if response.status_code == 206 else None
    except (httpx.HTTPError, ValueError):
        return 0, None, False
    return response.status_code, answer, response.headers.get("X-Inngest-No-Retry") == "true"


def _seconds_until(instant: str) -> float:
    """A sleep step's name is the time at which it ends."""
    return max(0.0, (datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds())
