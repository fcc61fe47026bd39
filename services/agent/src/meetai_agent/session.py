"""One job's session: the room's events in, calls of the use cases out.

Owns who is listened to, from joining to leaving. Must not know how speech is recognised or where lines go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from livekit import rtc

from meetai_agent.ports import Ear, Microphone
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import Speaker

HUMANS: Final = frozenset(
    {
        rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
        rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
        rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
    }
)
"""Browsers, apps, telephones. Other agents, recorders and ingested streams aren't transcribed."""
RECOGNISE_SECONDS: Final = 20.0
"""At the end: time for what was said last to be recognised."""

log = structlog.get_logger()


class MeetingSession:
    """Listens to every human in a room until it is finished."""

    def __init__(
        self,
        room: rtc.Room,
        transcription: Transcription,
        *,
        new_ear: Callable[[], Ear],
        open_microphone: Callable[[rtc.RemoteParticipant], Microphone],
    ) -> None:
        self._room = room
        self._transcription = transcription
        self._new_ear = new_ear
        self._open_microphone = open_microphone
        self._listening: dict[str, tuple[Microphone, asyncio.Task[None]]] = {}

    def start(self) -> None:
        """Listen to those who are here, and to those who come."""
        self._transcription.open()
        self._room.on("participant_connected", self._listen_to)
        for participant in self._room.remote_participants.values():
            self._listen_to(participant)

    async def finish(self) -> None:
        """Stop listening, wait for what was said last, then flush and close. Never raises: it is the job's last act."""
        self._room.off("participant_connected", self._listen_to)
        microphones = list(self._listening.values())
        for microphone, _task in microphones:
            microphone.stop()
        if microphones:
            _done, late = await asyncio.wait([task for _, task in microphones], timeout=RECOGNISE_SECONDS)
            for task in late:
                log.error("recogniser_too_late", task=task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._transcription.close()

    def _listen_to(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind not in HUMANS or participant.sid in self._listening:
            return
        microphone = self._open_microphone(participant)
        task = asyncio.create_task(self._listen(participant, microphone), name=f"listen-{participant.sid}")
        self._listening[participant.sid] = (microphone, task)

    async def _listen(self, participant: rtc.RemoteParticipant, microphone: Microphone) -> None:
        speaker = Speaker(identity=participant.identity, name=participant.name, kind="human")
        log.info("participant_heard", identity=participant.identity, participant_sid=participant.sid)
        try:
            await self._transcription.listen(speaker, self._new_ear(), microphone.frames())
        except Exception:
            log.exception("listening_failed", identity=participant.identity)
        finally:
            self._listening.pop(participant.sid, None)
            log.info("participant_left", identity=participant.identity, participant_sid=participant.sid)
