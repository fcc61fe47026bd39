"""The process of a meeting's agent is killed in mid-meeting, and another is sent: the transcript goes on and is proved."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
from livekit import api
from tests.e2e.conftest import outcome_of
from tests.waiting import until

from meetai_contracts.api import TokenRequest
from meetai_local import lineage
from meetai_local.demo.engine import Engine
from meetai_local.demo.meeting import AGENT
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.speech import load_recording
from meetai_local.stack import Stack

GREETING = load_recording("01-slt.wav")


async def test_the_transcript_goes_on_when_the_agents_process_was_killed_and_another_is_sent(
    stack: Stack, engine: Engine
) -> None:
    """Two producers, both closed: what the first had is replayed by the worker, what the second hears is its own; no line twice."""
    meeting_id = f"successor-{uuid.uuid4().hex[:8]}"
    request = TokenRequest(user_id="ada", user_name="Ada", agent=AGENT)
    async with SimulatedParticipant(engine, meeting_id, request) as ada:

        def finals() -> int:
            return sum(each.caption.final for each in ada.captions)

        await ada.wait_until_heard()
        await ada.say(GREETING)
        await until(lambda: finals() >= 1, 60)
        there = set(ada.room.remote_participants)
        [job] = _jobs(stack)
        os.kill(job, signal.SIGKILL)
        async with api.LiveKitAPI(
            stack.env["LIVEKIT_URL"], stack.env["LIVEKIT_API_KEY"], stack.env["LIVEKIT_API_SECRET"]
        ) as livekit:
            dispatch = api.CreateAgentDispatchRequest(agent_name="meetai", room=meeting_id)
            await livekit.agent_dispatch.create_dispatch(dispatch)
        await until(lambda: set(ada.room.remote_participants) - there, 60)
        before = finals()
        await ada.say(GREETING)
        await until(lambda: finals() > before, 60)
    outcome = await outcome_of(stack, engine, meeting_id)
    assert outcome.integrity is not None
    assert outcome.integrity.verdict == "complete", outcome.integrity.reason
    assert [producer.closed for producer in outcome.integrity.producers] == [True, True]
    stored = [line.id for line in outcome.lines]
    assert len(set(stored)) == len(stored)
    assert {each.caption.id for each in ada.captions if each.caption.final} <= set(stored)


def _jobs(stack: Stack) -> list[int]:
    """The processes that have a spool open: those that transcribe now."""
    spool = (stack.settings.root / "spool").resolve()
    return [
        member.process.pid
        for member in lineage.members(stack.settings.root)
        if member.part == "agent" and not member.is_top and _has_open(member.process, spool)
    ]


def _has_open(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        return any(Path(file.path).parent == folder for file in process.open_files())
    return False
