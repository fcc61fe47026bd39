"""What a worker takes: memory while it waits, memory and CPU for each meeting, with a recogniser that is elsewhere.

The recogniser is the tests' Deepgram server, which hears nothing: what is left is the agent's own. Its CPU isn't counted. The
worker runs as it ships, compiled, and without what the tools have installed: libraries import what they find (FACTS, Cost).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct
from tests.integration.agent.agent_process import START_SECONDS, AgentProcess, agent_process, person
from tests.servers.deepgram_listen import KEY, DeepgramServer
from tests.waiting import until

from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.speech import load_recording

IDLE = 2
"""Idle processes: the issue's own figure is for two."""
MB = 1_000_000
SPEECH = load_recording("02-rms.wav")


class Cost(Struct, frozen=True):
    """What was measured.

    Attributes:
        idle_mb: PSS of a worker with two idle processes, everything it started included.
        first_mb: PSS that the first meeting adds: its own, and the native code that all of them share.
        session_mb: PSS that each meeting after the first adds.
        session_cores: CPU seconds a second that each meeting takes while one person talks without a pause.
    """

    idle_mb: float
    first_mb: float
    session_mb: float
    session_cores: float


async def worker_cost(
    python: Path,
    folder: Path,
    livekit_url: str,
    redis_url: str,
    *,
    meetings: int,
    seconds: float,
    extra: Mapping[str, str],
) -> Cost:
    """Start a worker with this interpreter, let it wait, then give it so many meetings (at least 2) and let people talk for so long.

    Raises:
        TimeoutError: a meeting got no agent.
    """
    async with DeepgramServer(lambda _audio: []) as deepgram:
        settings = {
            "STT": "deepgram/nova-3",
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            "IDLE_PROCESSES": str(IDLE),
            "MAX_JOBS": "100",
            **extra,
        }
        with agent_process(folder, livekit_url, redis_url, settings, python=python) as agent:
            await until(agent.ready, START_SECONDS)
            await _steady(agent, IDLE)
            idle = _pss_mb(agent)
            async with AsyncExitStack() as stack:
                people: list[SimulatedParticipant] = []
                first = await _with_meetings(agent, people, [f"{folder.name}-1"], livekit_url, stack)
                others = [f"{folder.name}-{number}" for number in range(2, meetings + 1)]
                talking = await _with_meetings(agent, people, others, livekit_url, stack)
                cores = await _cores(agent, people, seconds)
    return Cost(idle, first - idle, (talking - first) / (meetings - 1), cores / meetings)


async def _with_meetings(
    agent: AgentProcess, people: list[SimulatedParticipant], names: list[str], livekit_url: str, stack: AsyncExitStack
) -> float:
    """The worker's PSS in MB with these meetings as well, in each of which somebody has talked."""
    new = [await stack.enter_async_context(person(livekit_url, name)) for name in names]
    people += new
    await asyncio.gather(*[each.wait_until_heard() for each in new])
    await until(lambda: len(agent.events("session_started")) == len(people), START_SECONDS)
    await asyncio.gather(*[each.say(SPEECH) for each in new])
    await _steady(agent, IDLE + len(people))
    return _pss_mb(agent)


async def _cores(agent: AgentProcess, people: list[SimulatedParticipant], seconds: float) -> float:
    async def talk(someone: SimulatedParticipant) -> None:
        while time.monotonic() < until_then:
            await someone.say(SPEECH)

    before, started = _cpu_seconds(agent), time.monotonic()
    until_then = started + seconds
    await asyncio.gather(*[talk(each) for each in people])
    return (_cpu_seconds(agent) - before) / (time.monotonic() - started)


def _family(agent: AgentProcess) -> list[psutil.Process]:
    worker = psutil.Process(agent.process.pid)
    return [worker, *worker.children(recursive=True)]


async def _steady(agent: AgentProcess, jobs: int) -> None:
    """Return once so many job processes are there, all of which have stopped growing."""
    before = -1.0

    def steady() -> bool:
        nonlocal before
        now, last = _pss_mb(agent), before
        before = now
        return len(_family(agent)) > jobs and abs(now - last) < 1

    async with asyncio.timeout(START_SECONDS):
        while not steady():  # noqa: ASYNC110 - memory has no event
            await asyncio.sleep(2)


def _pss_mb(agent: AgentProcess) -> float:
    total = 0
    for process in _family(agent):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MB


def _cpu_seconds(agent: AgentProcess) -> float:
    total = 0.0
    for process in _family(agent):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total
