"""A service is killed with SIGKILL in the middle of a meeting and comes back: no line that the recogniser returned is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.e2e.conftest import outcome_of

from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.cues import plan_meeting
from meetai_local.demo.engine import Engine
from meetai_local.demo.measure import live_differences
from meetai_local.demo.meeting import LINGER_SECONDS, Meeting, MeetingResult
from meetai_local.speech import load_script
from meetai_local.stack import Stack

Deed = Callable[[], Awaitable[None]]


async def test_ingest_loses_nothing_when_killed_in_the_middle_of_a_meeting(stack: Stack, engine: Engine) -> None:
    """What it had read and not committed is read again; what it had committed and not acknowledged is not stored twice."""

    async def kill() -> None:
        await stack.ready("transcript-ingest", seconds=90)
        await stack.kill("transcript-ingest")

    result = await _meeting_with(engine, "killed-ingest", after_captions={2: kill, 4: kill}, linger_seconds=90)
    outcome = await outcome_of(stack, engine, result.meeting_id)
    assert outcome.integrity is not None
    assert outcome.integrity.verdict == "complete", outcome.integrity.reason
    assert live_differences(result.captions, outcome.lines) == ()
    assert len(outcome.room_finished) == 1


async def test_bridge_sends_one_event_when_killed_as_the_meeting_ends(stack: Stack, engine: Engine) -> None:
    """LiveKit sends the webhook again until the bridge is back, and the event has one id however often that was."""

    async def kill_at_the_end() -> None:
        await stack.kill("webhook-bridge")

    result = await _meeting_with(
        engine, "killed-bridge", after_captions={4: kill_at_the_end}, at_the_end=kill_at_the_end
    )
    outcome = await outcome_of(stack, engine, result.meeting_id)
    assert [event.meeting_id for event in outcome.room_finished] == [result.meeting_id]
    assert outcome.integrity is not None
    assert outcome.integrity.verdict == "complete", outcome.integrity.reason


async def test_agent_loses_no_line_it_captioned_when_killed(stack: Stack, engine: Engine) -> None:
    """Its spool outlives it; the worker that comes back delivers what is in it and closes the producer."""
    heard: list[HeardCaption] = []

    async def kill() -> None:
        await stack.kill("agent")
        await stack.ready("agent", seconds=90)

    result = await _meeting_with(engine, "killed-agent", after_captions={3: kill}, heard=heard)
    outcome = await outcome_of(stack, engine, result.meeting_id)
    assert outcome.integrity is not None
    assert outcome.integrity.verdict == "complete", outcome.integrity.reason
    assert len(outcome.lines) >= 3
    shown = {each.caption.id for each in result.captions if each.caption.final}
    assert shown <= {line.id for line in outcome.lines}, "one more may be stored, spooled as its agent died"


async def _meeting_with(
    engine: Engine,
    meeting_id: str,
    *,
    after_captions: dict[int, Deed],
    at_the_end: Deed | None = None,
    heard: list[HeardCaption] | None = None,
    linger_seconds: float = LINGER_SECONDS,
) -> MeetingResult:
    """Hold a meeting of two, and do each deed once so many final captions have been heard."""
    finals = 0
    async with asyncio.TaskGroup() as deeds:

        def on_caption(caption: HeardCaption) -> None:
            nonlocal finals
            if heard is not None:
                heard.append(caption)
            finals += caption.caption.final
            if caption.caption.final and finals in after_captions:
                deeds.create_task(_run(after_captions[finals]), name=f"deed after {finals}")

        result = await Meeting(
            plan_meeting(load_script(), 2), engine, meeting_id, on_caption=on_caption, linger_seconds=linger_seconds
        ).run()
        if at_the_end is not None:
            await at_the_end()
    assert finals >= max(after_captions), "the meeting was too short for the fault"
    return result


async def _run(deed: Deed) -> None:
    await deed()
