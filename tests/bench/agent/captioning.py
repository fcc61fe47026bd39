"""From a recogniser's final to a listener's ears, through a real SFU: ours beside the framework's own path.

Ours does all that it does in a meeting: number, spool, buffer, both channels. The framework's is RoomIO's transcription output,
which stores nothing. Both sides have the same room, the same listener and their turns.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from livekit import api, rtc
from livekit.agents.voice.room_io._output import _ParticipantTranscriptionOutput
from msgspec import Struct
from tests.integration.agent.agent_process import person
from tests.integration.agent.reachable import hears
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.unit.agent.fakes import MemoryStream, RecordingMeter, no_frames
from uuid_utils.compat import uuid7

from meetai_agent.adapters.livekit_captions import RoomCaptions
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.batches import Producer
from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.heard import FinalWords, Heard
from meetai_agent.ports import OnVoice
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import LIVE_TOPIC, Speaker, parse_live_transcript

MEETING = "captioned"
SPEAKER = Speaker(identity="maya", name="Maya", kind="human")
SPOOL_BYTES = 64 * 1024 * 1024
ARRIVE_SECONDS = 10.0
PAUSE_SECONDS = 0.01
"""Between two finals; people leave more."""


class Delays(Struct, frozen=True):
    """Milliseconds from a final to its arrival, one for each final of a round.

    Attributes:
        packets: Ours on `meetai.transcript`.
        streams: Ours on `lk.transcription`.
        room_io: The framework's, on `lk.transcription`.
    """

    packets: list[float]
    streams: list[float]
    room_io: list[float]


class SpokenQueue:
    """`ports.Ear` that hears what is put into it."""

    def __init__(self) -> None:
        self._finals: asyncio.Queue[FinalWords | None] = asyncio.Queue()

    def put(self, final: FinalWords | None) -> None:
        self._finals.put_nowait(final)

    async def listen(self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice) -> AsyncGenerator[Heard]:
        while (final := await self._finals.get()) is not None:
            yield final


class Listener:
    """Notes when which text has come on which channel."""

    def __init__(self, room: rtc.Room) -> None:
        self._arrived: dict[tuple[str, str], asyncio.Future[float]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        room.on("data_received", self._packet)
        room.register_text_stream_handler("lk.transcription", self._stream)

    def expect(self, channel: str, text: str) -> asyncio.Future[float]:
        """When the final with this text arrives, by time.perf_counter."""
        return self._arrived.setdefault((channel, text), asyncio.get_running_loop().create_future())

    def _packet(self, packet: rtc.DataPacket) -> None:
        if packet.topic == LIVE_TOPIC:
            self._note("packet", parse_live_transcript(packet.data).text)

    def _stream(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        task = asyncio.create_task(self._read(reader))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        text = await reader.read_all()
        if (reader.info.attributes or {}).get("lk.transcription_final") == "true":
            self._note("stream", text)

    def _note(self, channel: str, text: str) -> None:
        arrived = self._arrived.pop((channel, text), None)
        if arrived is not None:
            arrived.set_result(time.perf_counter())


async def caption_delays(livekit_url: str, folder: Path, *, finals: int, rounds: int) -> list[Delays]:
    """So many rounds of so many finals on each side.

    Raises:
        TimeoutError: a caption hasn't arrived.
    """
    async with AsyncExitStack() as stack:
        maya = await stack.enter_async_context(person(livekit_url, MEETING, dispatches=0))
        room = await _joined(stack, livekit_url, "agent", agent=True)
        joined = await _joined(stack, livekit_url, "listener")
        await hears(joined, room)
        listener = Listener(joined)
        transcription, ear = _transcription(folder, room)
        transcription.open()
        listening = asyncio.create_task(transcription.listen(lambda: SPEAKER, ear, no_frames()))
        room_io = _ParticipantTranscriptionOutput(room=room, is_delta_stream=False, participant=maya.request.user_id)

        async def ours(text: str) -> None:
            now = time.time_ns() // 1_000_000
            ear.put(FinalWords(segment=text, text=text, started_ms=now, ended_ms=now))

        async def theirs(text: str) -> None:
            await room_io.capture_text(text)
            room_io.flush()

        delays = [await _round(listener, ours, theirs, number, finals) for number in range(rounds)]
        ear.put(None)
        await listening
        await transcription.close()
        await room_io.aclose()
        return delays


async def _round(
    listener: Listener,
    ours: Callable[[str], Awaitable[None]],
    theirs: Callable[[str], Awaitable[None]],
    number: int,
    finals: int,
) -> Delays:
    delays = Delays([], [], [])
    for count in range(finals):
        text = f"round {number}, line {count} of ours"
        arrivals = [listener.expect("packet", text), listener.expect("stream", text)]
        packet, stream = await _timed(ours, text, arrivals)
        delays.packets.append(packet)
        delays.streams.append(stream)
        text = f"round {number}, line {count} of theirs"
        delays.room_io.extend(await _timed(theirs, text, [listener.expect("stream", text)]))
    return delays


async def _timed(
    say: Callable[[str], Awaitable[None]], text: str, arrivals: list[asyncio.Future[float]]
) -> list[float]:
    started = time.perf_counter()
    async with asyncio.timeout(ARRIVE_SECONDS):
        await say(text)
        arrived = await asyncio.gather(*arrivals)
    await asyncio.sleep(PAUSE_SECONDS)
    return [(each - started) * 1000 for each in arrived]


def _transcription(folder: Path, room: rtc.Room) -> tuple[Transcription, SpokenQueue]:
    producer, meter = Producer(id=uuid7(), meeting_id=MEETING, room_sid="RM_bench"), RecordingMeter()
    spool = SpoolFile(folder, producer, max_bytes=SPOOL_BYTES)
    buffer = TranscriptBuffer(producer, random=random.random)
    delivery = Delivery(producer, buffer, stream=MemoryStream(), kept=spool, clock=SystemClock(), meter=meter)
    captions = RoomCaptions(room, meter=meter)
    return Transcription(
        producer, spool=spool, delivery=delivery, captions=captions, clock=SystemClock(), meter=meter
    ), SpokenQueue()


async def _joined(stack: AsyncExitStack, livekit_url: str, identity: str, *, agent: bool = False) -> rtc.Room:
    grants = api.VideoGrants(room_join=True, room=MEETING, agent=agent)
    token = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_grants(grants)
    if agent:
        token = token.with_kind("agent")
    room = rtc.Room()
    await room.connect(livekit_url, token.to_jwt())
    stack.push_async_callback(room.disconnect)
    return room
