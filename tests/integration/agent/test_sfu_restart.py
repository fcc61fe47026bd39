"""livekit-server is killed in the middle of a meeting and started again: the meeting goes on, and so does its transcript."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from livekit import api
from livekit.rtc import ParticipantKind
from tests.integration.agent.agent_process import START_SECONDS, agent_process, person
from tests.integration.agent.test_worker_process import GREETING, heard, ids_of, stored
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.waiting import eventually, until

from meetai_local.demo.participant import SimulatedParticipant

BACK_SECONDS = 60
"""People and agent come back by themselves in about 3 s (FACTS); others use the machine."""


async def test_the_meeting_goes_on_when_the_sfu_is_killed_and_started_again(
    livekit: EmbeddedServer, redis_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Lines before and after are stored once each, and one agent serves, whoever was back first.

    What was said while she had no connection may be stored without having been shown to her: live never holds up durable.
    Maya's token makes the room again with an agent if she is first; if the agent is, it goes on under the new sid.
    """
    with agent_process(tmp_path, livekit.url, redis_server.url, {"IDLE_PROCESSES": "2"}) as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, "restarted") as maya:
            await maya.wait_until_heard()
            await maya.say(GREETING)
            await heard(maya, 1)
            first_sid = await maya.room.sid
            reconnected = asyncio.Event()
            maya.room.on("reconnected", reconnected.set)
            await asyncio.to_thread(livekit.kill)
            await asyncio.to_thread(livekit.start)
            async with asyncio.timeout(BACK_SECONDS):
                await reconnected.wait()

            def one_agent() -> bool:
                everyone = maya.room.remote_participants.values()
                agents = [each for each in everyone if each.kind == ParticipantKind.PARTICIPANT_KIND_AGENT]
                return len(agents) == 1

            await until(one_agent, BACK_SECONDS)
            for _again in range(5):  # the first words may fall into the time in which her microphone comes back
                await maya.say(GREETING)
                with suppress(TimeoutError):
                    await until(lambda: len(finals(maya)) >= 2, 5)
                    break
            await heard(maya, 2)
            assert await sid_of(livekit.url, "restarted") != first_sid, "it is the same run of the room"

        async def closed() -> bool:
            kinds = [batch.kind for batch in await stored(redis_server.url, "restarted")]
            return kinds.count("open") == kinds.count("close") > 0

        await eventually(closed, seconds=60)
        batches = await stored(redis_server.url, "restarted")
        kept = ids_of(batches)
        assert len(set(kept)) == len(kept)
        assert [id_ for id_ in kept if id_ in finals(maya)] == finals(maya), (
            "a line was shown and not stored, or in another order"
        )
        assert batches[0].room_sid == first_sid
        opened = {batch.producer_id for batch in batches if batch.kind == "open"}
        assert len(agent.events("session_started")) == len(opened)
        assert {batch.room_sid for batch in batches if batch.producer_id == batches[0].producer_id} == {first_sid}


async def sid_of(livekit_url: str, meeting_id: str) -> str:
    """As the server has it; the client's own isn't always renewed."""
    async with api.LiveKitAPI(livekit_url.replace("ws://", "http://"), API_KEY, API_SECRET) as server:
        found = await server.room.list_rooms(api.ListRoomsRequest(names=[meeting_id]))
    return found.rooms[0].sid


def finals(maya: SimulatedParticipant) -> list[str | None]:
    """The ids of the lines that she has seen."""
    return [each.caption.id for each in maya.captions if each.caption.final]
