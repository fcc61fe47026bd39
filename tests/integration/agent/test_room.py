"""Microphones and captions in a real room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from livekit import api, rtc
from tests.integration.agent.agent_process import person
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.fakes import RecordingMeter
from tests.waiting import until

from meetai_agent.adapters.livekit_captions import MAX_WAITING, RoomCaptions
from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ, ParticipantMicrophone
from meetai_contracts.transcript import LIVE_TOPIC, CaptionSpeaker, LiveTranscript, parse_live_transcript
from meetai_local.demo.participant import SimulatedParticipant

MAYA = CaptionSpeaker(identity="maya", name="Maya", kind="human")


def caption(number: int) -> LiveTranscript:
    return LiveTranscript(1, segment=f"s{number}", final=True, speaker=MAYA, text=f"line {number}", started_ms=number)


class Room:
    """A meeting with Maya in it, joined as the agent does."""

    def __init__(self, maya: SimulatedParticipant, room: rtc.Room) -> None:
        self.maya = maya
        self.room = room
        self.participant = room.remote_participants["maya"]


@pytest.fixture
async def room(livekit: EmbeddedServer) -> AsyncIterator[Room]:
    grants = api.VideoGrants(room_join=True, room="standup", agent=True)
    token = api.AccessToken(API_KEY, API_SECRET).with_identity("agent").with_kind("agent").with_grants(grants)
    async with AsyncExitStack() as stack:
        maya = await stack.enter_async_context(person(livekit.url, "standup"))
        joined = rtc.Room()
        await joined.connect(livekit.url, token.to_jwt())
        stack.push_async_callback(joined.disconnect)
        yield Room(maya, joined)


class Listener:
    """Counts the samples of a microphone."""

    def __init__(self, microphone: ParticipantMicrophone) -> None:
        self.samples = 0
        self.microphone = microphone
        self.task = asyncio.create_task(self._listen())

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE_HZ

    async def _listen(self) -> None:
        async for frame in self.microphone.frames():
            assert (frame.sample_rate, frame.num_channels) == (SAMPLE_RATE_HZ, 1)
            self.samples += frame.samples_per_channel


async def test_frames_come_until_it_is_stopped_when_a_microphone_is_open(room: Room) -> None:
    """About a second of audio a second; it can be stopped before it began, twice, and nothing is left running."""
    before = asyncio.all_tasks()
    listener, other = (Listener(ParticipantMicrophone(room.participant)) for _ in range(2))
    other.microphone.stop()
    await until(lambda: listener.seconds >= 1)
    listener.microphone.stop()
    listener.microphone.stop()
    async with asyncio.timeout(5):
        await asyncio.gather(listener.task, other.task)
    await until(lambda: asyncio.all_tasks() <= before)


async def test_no_frame_is_lost_when_the_loop_was_busy_as_the_stream_ended(room: Room) -> None:
    """Frames and the end arrive in one burst; the SDK's own iterator would forget all frames of it but one."""
    microphone = ParticipantMicrophone(room.participant)
    listener = Listener(microphone)
    await until(lambda: listener.seconds >= 0.5)
    heard = listener.seconds
    time.sleep(0.4)  # noqa: ASYNC251 - the busy loop that this is about
    microphone._stream._ffi_handle.dispose()
    time.sleep(0.1)  # noqa: ASYNC251 - the end comes while it is still busy
    async with asyncio.timeout(5):
        await listener.task
    assert listener.seconds - heard >= 0.3


async def test_frames_end_when_the_participant_leaves(room: Room) -> None:
    """By themselves, soon."""
    listener = Listener(ParticipantMicrophone(room.participant))
    await until(lambda: listener.seconds >= 0.2)
    await room.maya.room.disconnect()
    async with asyncio.timeout(10):
        await listener.task


async def test_captions_arrive_in_order_when_many_are_published(room: Room) -> None:
    """Without waiting for any."""
    got: list[LiveTranscript] = []
    room.maya.room.on(
        "data_received",
        lambda packet: got.append(parse_live_transcript(packet.data)) if packet.topic == LIVE_TOPIC else None,
    )
    meter = RecordingMeter()
    captions = RoomCaptions(room.room, meter=meter)
    for number in range(100):
        captions.publish(caption(number))
    await until(lambda: len(got) == 100)
    assert got == [caption(number) for number in range(100)]
    await captions.aclose()
    assert meter.counts["caption_dropped"] == 0


async def test_the_oldest_captions_are_dropped_and_counted_when_the_room_is_gone(room: Room) -> None:
    """Publishing neither waits nor raises, and memory is bounded."""
    await room.room.disconnect()
    meter = RecordingMeter()
    captions = RoomCaptions(room.room, meter=meter)
    for number in range(MAX_WAITING + 40):
        captions.publish(caption(number))
    assert meter.counts["caption_dropped"] == 40
    assert len(captions._waiting) == MAX_WAITING
    await captions.aclose()
