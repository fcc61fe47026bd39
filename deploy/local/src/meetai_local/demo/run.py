"""The demo as a command: a meeting in a running stack, or in one that lives as long as the demo.

Owns the order (stack, meeting, outcome, verdict), what a person reads meanwhile, and the exit code: 0 if every promise
was kept, 1 if not, 2 if a setting must change first.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from meetai_local import client_environment, root_lock
from meetai_local.console import Console as StackConsole
from meetai_local.demo.captions import CaptionPrinter, speaker_colours
from meetai_local.demo.cues import MAX_SPEAKERS, MIN_SPEAKERS, Plan, plan_meeting
from meetai_local.demo.engine import Engine, EngineError
from meetai_local.demo.ledger import print_ledger
from meetai_local.demo.meeting import Meeting
from meetai_local.demo.outcome import await_outcome, await_summary
from meetai_local.demo.participant import ParticipantError
from meetai_local.demo.report import demo_console, print_report
from meetai_local.demo.summary import print_summary
from meetai_local.demo.verdict import Verdict, judge, with_summary
from meetai_local.errors import StackError
from meetai_local.inngest_events import received_events, receiver_kind
from meetai_local.settings import StackSettings, from_environment
from meetai_local.speech import load_script
from meetai_local.stack import Stack
from meetai_servicekit.settings import SettingsError

EXPECTED_ERRORS: Final = (StackError, EngineError, ParticipantError, httpx.HTTPError)
"""What can go wrong without a fault in the demo itself; each says what a person needs to know."""
INTERRUPTED: Final = 130  # as a shell reports Ctrl-C


def main(arguments: Sequence[str]) -> int:
    """Run the demo; returns the exit code."""
    options = _parser().parse_args(arguments)
    # The SDK logs late events that do no harm, and tokens when a connection fails (FACTS, LiveKit server).
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    console = demo_console()
    try:
        settings = from_environment(os.environ)
        verdict = asyncio.run(_demo(settings, plan_meeting(load_script(), options.speakers), console))
    except SettingsError as error:
        return _failed(console, [f"settings: {problem}" for problem in error.problems], code=2)
    except EXPECTED_ERRORS as error:
        return _failed(console, [_in_words(error)], code=error.exit_code if isinstance(error, StackError) else 1)
    except ExceptionGroup as group:
        expected, others = group.split(EXPECTED_ERRORS)
        if expected is None or others is not None:
            raise
        return _failed(console, [_in_words(error) for error in _leaves(expected)], code=1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _failed(console, ["interrupted"], code=INTERRUPTED)
    if options.picture is not None:
        console.save_svg(str(options.picture), title="make demo")
    return 1 if verdict.failed else 0


async def hold_meeting(env: Mapping[str, str], plan: Plan, console: Console) -> Verdict:
    """Hold one meeting in a running stack, print captions and report, and return the verdict.

    Args:
        env: What a client of the stack needs, as in `.local/env`.
        plan: Who says what, and when.
        console: Where to print.

    Raises:
        EngineError: A service refused or can't be reached.
        ExceptionGroup: Somebody could not take part; of `ParticipantError` and `EngineError`.
    """
    meeting_id = f"demo-{uuid.uuid4().hex[:12]}"
    base_url = env["INNGEST_BASE_URL"]
    receiver = await receiver_kind(base_url=base_url)
    colours = speaker_colours(part.member.identity for part in plan.parts)
    printer = CaptionPrinter(console, colours)
    console.print()
    console.rule(f"[bold]{plan.name}: {len(plan.parts)} people, live captions", align="left")
    async with Engine(env) as engine:
        result = await Meeting(
            plan, engine, meeting_id, on_start=printer.start, on_caption=printer.show, propose=True
        ).run()
        console.print(
            f"\nThe last one has left. Waiting for the end of the room, its event ({receiver}) and the proof …"
        )
        events = functools.partial(received_events, base_url=base_url)
        outcome = await await_outcome(engine, meeting_id, events, approval=True)
        summary = await await_summary(engine.summary, meeting_id)
        life, ledger = await engine.life(meeting_id), await engine.events(meeting_id)
    verdict = with_summary(judge(result, outcome, receiver=receiver), summary)
    print_ledger(console, life, ledger)
    print_summary(console, summary)
    print_report(console, verdict, started_ms=result.started_ms, colours=colours)
    return verdict


async def _demo(settings: StackSettings, plan: Plan, console: Console) -> Verdict:
    """The whole of it; SIGTERM and SIGHUP end it as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with _running_stack(settings, console) as env:
        return await hold_meeting(env, plan, console)


@asynccontextmanager
async def _running_stack(settings: StackSettings, console: Console) -> AsyncIterator[Mapping[str, str]]:
    """The environment of the stack that runs already, or of one that runs until the end of the context.

    Raises:
        StackError: It did not come up.
        ExceptionGroup: Of `StackError`: it went down meanwhile.
    """
    if root_lock.holder(settings.root) is not None:
        try:
            env = client_environment.read(settings.root / "env")
        except FileNotFoundError:
            raise StackError(
                f"the stack in {settings.root} is just starting or stopping; try again in a moment"
            ) from None
        console.print(f"using the stack that is running in {settings.root}", markup=False)
        yield env
        return
    console.print("starting the local stack (`make up` keeps one running)")
    async with Stack(settings, console=StackConsole()) as stack, asyncio.TaskGroup() as group:
        watch = group.create_task(stack.wait(), name="watch the stack")
        try:
            yield stack.env
        finally:
            watch.cancel()
            console.print("stopping the local stack", style="dim")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m meetai_local demo", description="Hold a meeting of simulated people, and prove its transcript."
    )
    parser.add_argument(
        "--speakers",
        type=int,
        choices=range(MIN_SPEAKERS, MAX_SPEAKERS + 1),
        default=3,
        help="how many people take part (3)",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="save captions and report as an SVG, for the README"
    )
    return parser


def _failed(console: Console, problems: Sequence[str], *, code: int) -> int:
    for problem in problems:
        console.print(f"✗ {problem}", style="red", markup=False, soft_wrap=True)
    return code


def _leaves(group: ExceptionGroup[Exception]) -> list[Exception]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, ExceptionGroup) else [error])
    ]


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
