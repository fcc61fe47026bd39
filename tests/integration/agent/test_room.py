"""Microphones and captions in a real room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest
from livekit import api, rtc
from tests.integration.agent.agent_process import person
from tests.integration.agent.reachable import hears
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.fakes import RecordingMeter
from tests.waiting import until

from meetai_agent.adapters.livekit_captions import RoomCaptions
from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ, ParticipantMicrophone
from meetai_contracts.transcript import LIVE_TOPIC, CaptionSpeaker, LiveTranscript, parse_live_transcript
from meetai_local.demo.microphone import Microphone
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
        await hears(maya.room, joined)
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
    listener, other = (Listener(ParticipantMicrophone(room.participant, "microphone")) for _ in range(2))
    other.microphone.stop()
    await until(lambda: listener.seconds >= 1)
    listener.microphone.stop()
    listener.microphone.stop()
    async with asyncio.timeout(5):
        await asyncio.gather(listener.task, other.task)
    await until(lambda: asyncio.all_tasks() <= before)


async def test_no_frame_is_lost_when_the_loop_was_busy_as_the_stream_ended(room: Room) -> None:
    """Frames and the end arrive in one burst; the SDK's own iterator would forget all frames of it but one."""
    microphone = ParticipantMicrophone(room.participant, "microphone")
    listener = Listener(microphone)
    await until(lambda: listener.seconds >= 0.5)
    heard = listener.seconds
    time.sleep(1.0)  # noqa: ASYNC251 - the busy loop that this is about
    microphone._stream._ffi_handle.dispose()
    time.sleep(0.1)  # noqa: ASYNC251 - the end comes while it is still busy
    async with asyncio.timeout(5):
        await listener.task
    assert listener.seconds - heard >= 0.3


async def test_frames_end_when_the_participant_leaves(room: Room) -> None:
    """By themselves, soon."""
    listener = Listener(ParticipantMicrophone(room.participant, "microphone"))
    await until(lambda: listener.seconds >= 0.2)
    await room.maya.room.disconnect()
    async with asyncio.timeout(10):
        await listener.task


async def test_the_sound_of_a_screen_is_heard_beside_the_microphone_when_it_is_shared(room: Room) -> None:
    """Each stream has its own; captions of it name its track."""
    microphone = Listener(ParticipantMicrophone(room.participant, "microphone"))
    share = Listener(ParticipantMicrophone(room.participant, "screen_share"))
    await until(lambda: microphone.seconds >= 0.2, 30)
    assert share.samples == 0
    async with Microphone() as sound:
        track = rtc.LocalAudioTrack.create_audio_track("screen", sound.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
        published = await room.maya.room.local_participant.publish_track(track, options)
        await until(lambda: share.seconds >= 0.5, 30)
        ui, captions = StockUI(room.maya.room), RoomCaptions(room.room, meter=RecordingMeter())
        await until(lambda: published.sid in room.participant.track_publications, 30)
        captions.publish(msgspec.structs.replace(caption(1), source="screen_share"))
        await until(lambda: len(ui.shown) == 1, 30)
        assert ui.shown[0][2]["lk.transcribed_track_id"] == published.sid
        await captions.aclose()
        await room.maya.room.local_participant.unpublish_track(published.sid)
    heard = microphone.seconds
    await until(lambda: microphone.seconds >= heard + 0.5, 30)
    assert not share.task.done(), "it may be shared again"
    await room.maya.room.disconnect()
    async with asyncio.timeout(30):
        await asyncio.gather(share.task, microphone.task)


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


class StockUI:
    """What LiveKit's own components listen to."""

    def __init__(self, room: rtc.Room) -> None:
        self._read: list[asyncio.Task[tuple[str, str, dict[str, str]]]] = []
        room.register_text_stream_handler("lk.transcription", self._receive)

    @property
    def shown(self) -> list[tuple[str, str, dict[str, str]]]:
        """Speaker, text and attributes of what has arrived whole, in the order in which it began.

        The SDK reads streams side by side: an earlier one may end later.
        """
        return [each.result() for each in self._read if each.done()]

    def _receive(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._read.append(asyncio.create_task(self._whole(reader, identity)))

    async def _whole(self, reader: rtc.TextStreamReader, identity: str) -> tuple[str, str, dict[str, str]]:
        return identity, await reader.read_all(), reader.info.attributes or {}


async def test_a_stock_client_shows_every_line_once_when_they_are_captioned(room: Room) -> None:
    """Under the speaker's identity and track, interims and their final under one segment; a second line has its own."""
    ui = StockUI(room.maya.room)
    await until(lambda: len(room.participant.track_publications) == 1, 30)
    [track] = room.participant.track_publications
    captions = RoomCaptions(room.room, meter=RecordingMeter())
    interim = LiveTranscript(1, segment="s1", final=False, speaker=MAYA, text="lin", started_ms=1)
    finals = [
        LiveTranscript(1, segment=segment, final=True, speaker=MAYA, text=text, started_ms=1, id=f"p:{seq}")
        for seq, (segment, text) in enumerate([("s1", "line 1"), ("s1", "too long for one"), ("s2", "line 2")], 1)
    ]
    for each in (interim, *finals):
        captions.publish(each)
    await until(lambda: len(ui.shown) == 4, 30)
    assert ui.shown == [
        ("maya", text, {"lk.segment_id": segment, "lk.transcription_final": final, "lk.transcribed_track_id": track})
        for segment, final, text in [
            ("s1", "false", "lin"),
            ("s1", "true", "line 1"),
            ("p:2", "true", "too long for one"),
            ("s2", "true", "line 2"),
        ]
    ]
    await captions.aclose()


@pytest.mark.parametrize("stuck", ["publish_data", "stream_text"])
async def test_the_other_channel_goes_on_when_one_is_stuck(
    room: Room, stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applications and stock components don't wait for one another."""

    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    packets: list[bytes] = []
    room.maya.room.on(
        "data_received", lambda packet: packets.append(packet.data) if packet.topic == LIVE_TOPIC else None
    )
    ui = StockUI(room.maya.room)
    monkeypatch.setattr(room.room.local_participant, stuck, never)
    captions = RoomCaptions(room.room, meter=RecordingMeter())
    for number in range(5):
        captions.publish(caption(number))
    await until(lambda: len(ui.shown if stuck == "publish_data" else packets) == 5, 30)
    assert not (packets if stuck == "publish_data" else ui.shown)
    await captions.aclose()


async def test_captions_are_dropped_and_counted_when_the_room_is_gone(room: Room) -> None:
    """Publishing neither waits nor raises."""
    await room.room.disconnect()
    meter = RecordingMeter()
    captions = RoomCaptions(room.room, meter=meter)
    captions.publish(caption(1))
    await until(lambda: meter.counts["caption_dropped"] == 2, 30)
    await captions.aclose()
