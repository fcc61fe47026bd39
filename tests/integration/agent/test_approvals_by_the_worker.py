"""Approvals by the real worker: asked for in the chat, decided on a screen, and told although the job was killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from tests.integration.agent.agent_process import START_SECONDS, agent_process, person
from tests.integration.agent.approvers import Approver, approve
from tests.servers.embedded import EmbeddedServer
from tests.waiting import eventually, until

from meetai_contracts.events import EVENT_FIELD, EVENTS_STREAM, DomainEvent
from meetai_local.demo.participant import SimulatedParticipant

SECONDS = 30


async def told(redis_url: str) -> list[DomainEvent]:
    """The events on the stream."""
    async with Redis.from_url(redis_url) as redis:
        entries: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(EVENTS_STREAM)  # type: ignore[assignment]  # redis-py's union of protocols
    return [msgspec.json.decode(fields[EVENT_FIELD.encode()], type=DomainEvent) for _, fields in entries]


async def write(author: SimulatedParticipant, text: str) -> None:
    await author.room.local_participant.send_text(text, topic="lk.chat")


async def test_a_decision_is_told_when_its_job_is_killed_right_after_it(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """With Redis away: one proposal was approved, another still open. The worker tells both, the second as expired."""
    answers: dict[str, Any] = {"Planning": approve}
    with agent_process(tmp_path, livekit.url, redis_server.url, {"APPROVAL_SECONDS": "15"}) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "first") as maya, person(livekit.url, "first", name="Ben") as ben:
            screen = Approver(ben.room, lambda popup: answers[popup["event"]["title"]](popup))
            screen.may_answer.clear()
            screen.register()
            await ben.wait_until_heard()
            await until(lambda: bool(agent.events("session_started")), SECONDS)  # and with it the chat
            await asyncio.to_thread(redis_server.stop)
            await write(maya, "Propose a meeting called planning tomorrow at ten, and ask Ben to approve it.")
            await until(lambda: len(screen.popups) == 1, SECONDS)
            screen.may_answer.set()
            await until(lambda: bool(agent.events("proposal_ended")), SECONDS)
            screen.may_answer.clear()
            await write(maya, "Propose a meeting called retro tomorrow at eleven, and ask Ben to approve it.")
            await until(lambda: len(screen.popups) == 2, SECONDS)
            [job] = agent.job_pids()
            os.kill(job, signal.SIGKILL)
            await asyncio.to_thread(redis_server.start)

            async def both_told() -> bool:
                return len(await told(redis_server.url)) == 2

            await eventually(both_told, seconds=90)
        approved, expired = await told(redis_server.url)
        assert (approved.name, approved.data["event"]["title"]) == ("meetai/calendar_event.approved", "Planning")
        assert (approved.data["meetingId"], approved.data["decidedBy"]) == ("first", "ben")
        assert f"UID:{screen.popups[0]['proposalId']}" in approved.data["ics"]
        assert (expired.name, expired.data["event"]["title"]) == ("meetai/calendar_event.expired", "Retro")
        await until(lambda: not list((tmp_path / "spool").iterdir()), SECONDS)
        assert "meetai_agent_replay_events_told_total 2.0" in agent.metrics()
        assert "Planning" not in agent.log(), "logs hold no text"


async def test_it_is_told_that_it_expired_when_nobody_answered_in_time(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """By the clock, with everybody there; whoever asked is told so."""
    with agent_process(tmp_path, livekit.url, redis_server.url, {"APPROVAL_SECONDS": "5"}) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "unanswered") as maya, person(livekit.url, "unanswered", name="Ben") as ben:
            screen = Approver(ben.room, approve)
            screen.may_answer.clear()
            screen.register()
            await ben.wait_until_heard()
            await until(lambda: bool(agent.events("session_started")), SECONDS)
            await write(maya, "Propose a meeting called planning tomorrow at ten, and ask Ben to approve it.")

            async def is_told() -> bool:
                return bool(await told(redis_server.url))

            await eventually(is_told, seconds=90)
            screen.may_answer.set()
            [ended] = agent.events("proposal_ended")
            assert (ended["outcome"], ended["reason"]) == ("expired", "time_over")
        [expired] = await told(redis_server.url)
        assert expired.name == "meetai/calendar_event.expired"
        assert len(screen.popups) == 1
