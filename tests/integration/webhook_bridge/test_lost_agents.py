"""A real worker at a real LiveKit server: the agent comes late, is killed, and is there again each time."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest
from tests.integration.agent.agent_process import AGENT_NAME, START_SECONDS, agent_process, person
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.integration.webhook_bridge.bridge_process import bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.integration.webhook_bridge.livekit_nodes import find_program, node
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_ports
from tests.waiting import until

from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.settings import StackSettings
from meetai_local.speech import load_recording

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
BACK_SECONDS = 120
"""The killed agent's ghost goes after 20-22 s (FACTS); 30 s more are promised for the next one to be there and transcribe.
The rest is for a busy machine."""
GREETING = load_recording("01-slt.wav")
"""Good morning everyone, and thank you for joining the meeting."""


async def heard_again(maya: SimulatedParticipant, before: int) -> None:
    """Say something until there is a final caption of it: whoever listens now may have come only just now."""
    async with asyncio.timeout(BACK_SECONDS):
        while sum(each.caption.final for each in maya.captions) <= before:
            await maya.say(GREETING)


async def test_the_agent_is_there_again_when_it_came_late_and_when_it_was_killed(
    tmp_path: Path, database_url: str, inngest: InngestStub, redis_server: EmbeddedServer, stack_settings: StackSettings
) -> None:
    """No worker was there when it was sent for; then `kill -9` of its job. Each time it is sent for again, and transcribes."""
    program = await asyncio.to_thread(find_program, stack_settings)
    ports = free_ports()
    extra = {
        "LIVEKIT_URL": f"ws://127.0.0.1:{ports.livekit}",
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "AGENT_NAME": AGENT_NAME,
    }
    with bridge(tmp_path, database_url, inngest.url, extra=extra) as replica:
        ports = msgspec.structs.replace(ports, webhook_bridge=replica.port)
        server = node(tmp_path / "livekit", program, ports, keys=(API_KEY, API_SECRET))
        with server:
            async with person(server.url, "standup") as maya:
                await until(lambda: 'agents_missing{state="waited_for"} 1.0' in replica.get("/metrics").text)
                with agent_process(tmp_path, server.url, redis_server.url) as agent:
                    await until(agent.ready, START_SECONDS)
                    await heard_again(maya, 0)
                    await until(lambda: len(agent.job_pids()) == 1)  # two, where the bridge asked again meanwhile
                    [job] = agent.job_pids()
                    os.kill(job, signal.SIGKILL)
                    finals = sum(each.caption.final for each in maya.captions)
                    await heard_again(maya, finals)
                    assert agent.job_pids() not in ([], [job])
                metrics = replica.get("/metrics").text
    assert 'meetai_bridge_rooms_mended_total{what="agent_dispatched"}' in metrics
    assert "agent_given_up" not in replica.log()
