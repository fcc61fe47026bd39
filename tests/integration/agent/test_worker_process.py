"""The real worker against a real LiveKit server and a real Redis: it hears, and it may be killed at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from redis.asyncio import Redis
from tests.integration.agent.agent_process import START_SECONDS, agent_process, person, send_agent
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.samples import decoded
from tests.waiting import eventually, until

from meetai_contracts.transcript import BATCH_FIELD, LiveTranscript, TranscriptBatch, stream_key
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.speech import load_recording

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
GREETING = load_recording("01-slt.wav")
"""Good morning everyone, and thank you for joining the meeting."""


async def stored(redis_url: str, meeting_id: str) -> list[TranscriptBatch]:
    """What the stream has of a meeting; nothing while Redis is away."""
    async with Redis.from_url(redis_url) as redis:
        found: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(stream_key(0))  # type: ignore[assignment]  # redis-py's union of protocols
    batches = decoded([fields[BATCH_FIELD.encode()] for _, fields in found])
    return [batch for batch in batches if batch.meeting_id == meeting_id]


async def stored_until_closed(redis_url: str, meeting_id: str) -> list[TranscriptBatch]:
    async def closed() -> list[TranscriptBatch]:
        batches = await stored(redis_url, meeting_id)
        return batches if batches and batches[-1].kind == "close" else []

    return await eventually(closed, seconds=90)


async def heard(maya: SimulatedParticipant, count: int) -> list[LiveTranscript]:
    """The final captions, once there are so many."""
    await until(lambda: sum(each.caption.final for each in maya.captions) >= count, 30)
    return [each.caption for each in maya.captions if each.caption.final]


def files(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


def ids_of(batches: list[TranscriptBatch]) -> list[str]:
    return [line.id for batch in batches for line in batch.lines]


def assert_all_kept(batches: list[TranscriptBatch], captions: list[LiveTranscript]) -> None:
    """What was captioned is stored, and nothing twice. A greeting with a hole in it is two lines, the last perhaps after the caption."""
    ids = ids_of(batches)
    assert captions
    assert len(set(ids)) == len(ids)
    assert {caption.id for caption in captions} <= set(ids)


async def test_no_line_is_lost_when_a_job_is_killed(
    livekit_to_start: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Ready only when registered; captions go on while Redis is away; the worker brings what the killed job had heard.

    Then a second meeting ends by SIGTERM with no time to drain: its lines are flushed, its producer closed, exit code 0.
    """
    with agent_process(tmp_path, livekit_to_start.url, redis_server.url) as agent, ExitStack() as stack:
        await until(lambda: agent.checks().get("redis") == "ok", START_SECONDS)
        assert agent.checks()["livekit"] == "not registered with LiveKit"
        assert not agent.ready()
        livekit = stack.enter_context(livekit_to_start)
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "first") as maya:
            await maya.wait_until_heard()
            await maya.say(GREETING)
            first = await heard(maya, 1)
            await asyncio.to_thread(redis_server.stop)
            await maya.say(GREETING)
            captions = await heard(maya, 2)
            [job] = agent.job_pids()
            os.kill(job, signal.SIGKILL)
            await asyncio.to_thread(redis_server.start)
            batches = await stored_until_closed(redis_server.url, "first")
        assert_all_kept(batches, captions)
        assert "morning" in " ".join(each.text for each in [*first, *captions]).lower()
        assert {line.speaker.identity for batch in batches for line in batch.lines} == {"maya"}
        await until(lambda: not files(tmp_path / "spool"))
        assert "meetai_agent_replay_batches" in agent.metrics()

        async with person(livekit.url, "second", metadata="{not json") as maya:
            await maya.wait_until_heard()
            await maya.say(GREETING)
            captions = await heard(maya, 1)
            family = psutil.Process(agent.process.pid).children(recursive=True)
            assert await asyncio.to_thread(agent.terminate, 60) == 0
        batches = await stored_until_closed(redis_server.url, "second")
        assert_all_kept(batches, captions)
        assert batches[-1].kind == "close"
        assert not files(tmp_path / "spool")
        await until(lambda: not any(each.is_running() for each in family))
        assert agent.events("metadata_rejected")
        assert "morning" not in agent.log().lower(), "logs hold no text"


async def test_no_line_is_lost_when_the_worker_is_killed(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Its jobs end with it; the next worker on the same folder brings what they had heard."""
    with agent_process(tmp_path, livekit.url, redis_server.url) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "third") as maya:
            await maya.wait_until_heard()
            await asyncio.to_thread(redis_server.stop)
            await maya.say(GREETING)
            captions = await heard(maya, 1)
            family = psutil.Process(agent.process.pid).children(recursive=True)
            agent.process.kill()
            await until(lambda: not any(each.is_running() for each in family), 30)
    await asyncio.to_thread(redis_server.start)
    with agent_process(tmp_path, livekit.url, redis_server.url) as agent:
        await until(agent.ready, START_SECONDS)
        batches = await stored_until_closed(redis_server.url, "third")
        assert_all_kept(batches, captions)
        assert await asyncio.to_thread(agent.terminate, 30) == 0


async def test_no_line_is_lost_when_the_worker_ends_right_after_its_job_was_killed(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """It looks for spools once more before it leaves: the next worker may have another disk."""
    with agent_process(tmp_path, livekit.url, redis_server.url) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "last") as maya:
            await maya.wait_until_heard()
            await asyncio.to_thread(redis_server.stop)
            await maya.say(GREETING)
            captions = await heard(maya, 1)
            await asyncio.to_thread(redis_server.start)
            [job] = agent.job_pids()
            os.kill(job, signal.SIGKILL)
            assert await asyncio.to_thread(agent.terminate, 60) == 0
    assert_all_kept(await stored_until_closed(redis_server.url, "last"), captions)
    assert not files(tmp_path / "spool")


async def test_running_meetings_go_on_and_no_new_one_is_taken_when_the_worker_drains(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Before that, a worker with as many meetings as it may have refuses another, and takes it once one has ended."""
    settings = {"MAX_JOBS": "1", "DRAIN_SECONDS": "120"}
    url = livekit.url.replace("ws://", "http://")  # the other services take this form, so a worker does
    with agent_process(tmp_path, url, redis_server.url, settings) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "one") as maya:
            await maya.wait_until_heard()
            async with person(livekit.url, "two", name="Bob") as bob:
                await maya.say(GREETING)
                await heard(maya, 1)
                await until(lambda: agent.events("session_started"))
                assert len(agent.events("session_started")) == 1, "the worker was full"
                await maya.room.disconnect()
                await stored_until_closed(redis_server.url, "one")

                async def taken() -> bool:
                    await send_agent(livekit.url, "two")
                    return bool(bob.room.remote_participants)

                await eventually(taken, seconds=60)
                await bob.wait_until_heard()
                agent.process.send_signal(signal.SIGTERM)
                await until(lambda: agent.checks().get("livekit", "").startswith("draining"), 30)
                async with person(livekit.url, "three", name="Eve") as eve:
                    await bob.say(GREETING)
                    captions = await heard(bob, 1)
                    assert not eve.room.remote_participants
            batches = await stored_until_closed(redis_server.url, "two")
        assert await asyncio.to_thread(agent.process.wait, 60) == 0
        assert_all_kept(batches, captions)
        assert batches[-1].kind == "close"
        assert not files(tmp_path / "spool")


def test_every_missing_setting_is_named_when_there_is_no_environment() -> None:
    """At once, with exit code 2, before anything is started."""
    environment = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "-m", "meetai_agent"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "REDIS_URL", "SPOOL_DIR"):
        assert f"settings: {name}: is required" in ended.stderr
