"""Several agents sent to one room, on a real LiveKit server: one of them transcribes, and nothing is said twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from livekit.rtc import ParticipantKind
from tests.integration.agent.agent_process import START_SECONDS, AgentProcess, agent_process, person, send_agent
from tests.integration.agent.test_worker_process import GREETING, assert_all_kept, heard, stored
from tests.integration.token.livekit_server import livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.servers.fixtures import _embedded_redis
from tests.servers.ports import free_ports
from tests.waiting import eventually, until, wait_until

from meetai_contracts.transcript import TranscriptBatch
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.settings import StackSettings

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for


class Place:
    """A worker that takes several jobs, with the servers it needs."""

    def __init__(self, livekit: EmbeddedServer, redis: EmbeddedServer, agent: AgentProcess) -> None:
        self.livekit = livekit
        self.redis = redis
        self.agent = agent

    def settled(self, meeting: Meeting) -> list[str]:
        """What each job that has settled in a meeting has become, in the order in which they did."""
        return [event["state"] for event in self.agent.events("agent_settled") if event["room_sid"] == meeting.sid]

    async def kinds(self, meeting_id: str) -> list[str]:
        return [batch.kind for batch in await stored(self.redis.url, meeting_id)]

    async def closed(self, meeting_id: str, producers: int = 1) -> list[TranscriptBatch]:
        """What the stream has of a meeting, once so many producers have closed."""

        async def all_closed() -> bool:
            return (await self.kinds(meeting_id)).count("close") == producers

        await eventually(all_closed, seconds=30)
        return await stored(self.redis.url, meeting_id)


class Meeting:
    """Maya's meeting."""

    def __init__(self, maya: SimulatedParticipant, sid: str) -> None:
        self.maya = maya
        self.sid = sid

    @property
    def agents(self) -> list[str]:
        """Who is there, ghosts included."""
        everyone = self.maya.room.remote_participants.values()
        return [each.identity for each in everyone if each.kind == ParticipantKind.PARTICIPANT_KIND_AGENT]

    async def say(self) -> None:
        """Say the greeting, and wait until it has been captioned, or a beginning of it."""
        before = sum(each.caption.final for each in self.maya.captions)
        await self.maya.say(GREETING)
        await heard(self.maya, before + 1)


async def begun(maya: SimulatedParticipant, place: Place) -> Meeting:
    """Once one agent serves, and is seen."""
    meeting = Meeting(maya, await maya.room.sid)
    await until(lambda: place.settled(meeting) == ["serving"] and len(meeting.agents) == 1, 30)
    return meeting


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, stack_settings: StackSettings) -> Iterator[Place]:
    """One for all meetings of this file: a worker takes 10 s to start."""
    folder = tmp_path_factory.mktemp("agents")
    settings = msgspec.structs.replace(stack_settings, root=folder / "livekit", ports=free_ports())
    with ExitStack() as stack:
        livekit = stack.enter_context(livekit_server(settings))
        redis = stack.enter_context(_embedded_redis(tmp_path_factory))
        extra = {"IDLE_PROCESSES": "3"}
        agent = stack.enter_context(agent_process(folder, livekit.url, redis.url, extra))
        wait_until(agent.ready, seconds=START_SECONDS)
        yield Place(livekit, redis, agent)


async def test_one_transcribes_when_three_are_sent_at_once_and_another_later(place: Place) -> None:
    """The others leave before they have transcribed anything: the stream learns of one producer."""
    async with person(place.livekit.url, "three", dispatches=3) as maya:
        meeting = Meeting(maya, await maya.room.sid)
        await until(lambda: sorted(place.settled(meeting)) == ["leaving", "leaving", "serving"], 30)
        await until(lambda: len(meeting.agents) == 1, 30)
        [serving] = meeting.agents
        await send_agent(place.livekit.url, "three")
        await until(lambda: sorted(place.settled(meeting)) == [*["leaving"] * 3, "serving"], 30)
        await until(lambda: meeting.agents == [serving], 30)
        await meeting.say()
    batches = await place.closed("three")
    assert list(dict.fromkeys(batch.kind for batch in batches)) == ["open", "lines", "close"]
    assert_all_kept(batches, [each.caption for each in maya.captions])


async def test_the_successor_goes_on_when_the_one_that_served_was_killed(place: Place) -> None:
    """Beside its ghost, as a producer of its own; what was said while the ghost was asked is heard, and no line twice."""
    async with person(place.livekit.url, "killed") as maya:
        meeting = await begun(maya, place)
        await meeting.say()
        [job] = place.agent.job_pids()
        os.kill(job, signal.SIGKILL)
        await send_agent(place.livekit.url, "killed")
        await until(lambda: len(meeting.agents) == 2, 30)
        await meeting.say()  # from here on the ghost is being asked, for some 4.5 s
        assert place.settled(meeting) == ["serving", "serving"]
    batches = await place.closed("killed", producers=2)
    assert len({batch.producer_id for batch in batches}) == 2
    assert_all_kept(batches, [each.caption for each in maya.captions])


async def test_the_one_that_served_stays_when_it_was_frozen_while_another_took_its_place(place: Place) -> None:
    """They can't know better at first; once it runs again the later leaves, with all its lines stored."""
    async with person(place.livekit.url, "frozen") as maya:
        meeting = await begun(maya, place)
        [first] = meeting.agents
        [job] = place.agent.job_pids()
        os.kill(job, signal.SIGSTOP)
        await send_agent(place.livekit.url, "frozen")
        await until(lambda: place.settled(meeting) == ["serving", "serving"], 30)
        os.kill(job, signal.SIGCONT)
        await until(lambda: place.settled(meeting) == ["serving", "serving", "leaving"], 30)
        await until(lambda: meeting.agents == [first], 30)
        await meeting.say()
    batches = await place.closed("frozen", producers=2)
    assert_all_kept(batches, [each.caption for each in maya.captions if each.caption.final])
