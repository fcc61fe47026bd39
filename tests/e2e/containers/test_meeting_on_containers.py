"""A meeting on the images: read-only, without any capability, as a user who owns nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio
from msgspec import Struct
from tests.e2e.containers.conftest import Deployment
from tests.servers.images import BUILD_SECONDS
from tests.waiting import eventually, until

from meetai_contracts.api import AgentRequest, StoredLine, TokenRequest
from meetai_contracts.events import TRANSCRIPT_COMPLETED
from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.engine import Engine
from meetai_local.demo.measure import live_differences, word_error_rate
from meetai_local.demo.outcome import EVENT_DEADLINE_SECONDS, Outcome, await_outcome
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.inngest_events import received_events
from meetai_local.speech import load_recording, load_script

pytestmark = pytest.mark.timeout(BUILD_SECONDS)
MEETING = "on containers"
CAPTION_SECONDS = 60
MAX_MISHEARD = 0.25
"""Of ten words. The model makes no error here; a machine that has too much to do plays the recording with holes."""
DRAIN_SECONDS = 120
"""Each is told to end its meetings at once, which takes seconds on an idle machine; the agent's own bounds add up to 101."""


class Held(Struct):
    """The meeting and what is left of it.

    Attributes:
        said: The words that were spoken.
        exits: The exit code of each service after SIGTERM.
    """

    said: str
    captions: tuple[HeardCaption, ...]
    outcome: Outcome
    completions: list[dict[str, Any]]
    exits: dict[str, int]

    @property
    def lines(self) -> tuple[StoredLine, ...]:
        return self.outcome.lines


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def held(deployment: Deployment) -> Held:
    """Maya says a line; Compose brings two services back that were killed; the agent is told to end while she is there; she leaves; then the others are told to end."""
    line = load_script().lines[0]
    request = TokenRequest(
        user_id="maya",
        user_name="Maya",
        agent=AgentRequest(name="Minutes", instructions="Keep the minutes.", language="en"),
    )
    received = functools.partial(received_events, base_url=deployment.env["INNGEST_BASE_URL"])
    async with Engine(deployment.env) as engine:
        async with SimulatedParticipant(engine, MEETING, request) as maya:
            await maya.wait_until_heard()
            await maya.say(load_recording(line.wav))
            with contextlib.suppress(TimeoutError):  # the test of what was said says which words are missing
                await until(
                    lambda: word_error_rate(line.text, captioned(maya.captions)) <= MAX_MISHEARD, CAPTION_SECONDS
                )
            if crash := deployment.crash:
                for name in ("transcript-ingest", "webhook-bridge"):
                    await asyncio.to_thread(crash, name)
            exits = {"agent": await terminated(deployment, "agent")}
        outcome = await await_outcome(engine, MEETING, received)
        await eventually(lambda: received(TRANSCRIPT_COMPLETED), seconds=EVENT_DEADLINE_SECONDS)
        completions = await received(TRANSCRIPT_COMPLETED)
    exits |= {name: await terminated(deployment, name) for name in deployment.services if name != "agent"}
    return Held(line.text, maya.captions, outcome, completions, exits)


def captioned(captions: Sequence[HeardCaption]) -> str:
    """The words of the final captions."""
    return " ".join(heard.caption.text for heard in captions if heard.caption.final)


async def terminated(deployment: Deployment, name: str) -> int:
    """End a service as its orchestrator does."""
    return await asyncio.to_thread(deployment.services[name].terminate, seconds=DRAIN_SECONDS)


async def test_what_was_said_is_captioned_and_stored(held: Held) -> None:
    """By the model within the image, and the same line on both ways, read back over HTTP."""
    stored = " ".join(line.text for line in held.lines)
    assert word_error_rate(held.said, stored) <= MAX_MISHEARD, stored
    assert live_differences(held.captions, held.lines) == ()


async def test_transcript_is_complete_when_the_agents_container_was_told_to_end_in_mid_meeting(held: Held) -> None:
    """Its end marker was sent before its process ended."""
    assert held.outcome.integrity is not None
    assert held.outcome.integrity.verdict == "complete", held.outcome.integrity.reason


async def test_inngest_is_told_of_both_ends_once(held: Held) -> None:
    """The webhook reached the bridge's container; the completion went through Redis and the bridge as well."""
    assert [event.meeting_id for event in held.outcome.room_finished] == [MEETING]
    assert [(event["data"]["meetingId"], event["data"]["lines"]) for event in held.completions] == [
        (MEETING, len(held.lines))
    ]


async def test_every_container_ends_by_itself_when_it_is_told_to(held: Held) -> None:
    """Process 1 takes SIGTERM, drains, and says by 0 that nothing failed."""
    assert held.exits == dict.fromkeys(held.exits, 0)
    assert len(held.exits) == 4
