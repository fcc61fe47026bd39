"""One job's session: the room's events in, calls of the use cases out.

Owns who is listened to, from joining to leaving. Must not know how speech is recognised or where lines go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from livekit import rtc

from meetai_agent.ports import Ear, Microphone
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.identifiers import clean_text
from meetai_contracts.transcript import MAX_SPEAKER_BYTES, Source, Speaker

HUMANS: Final = frozenset(
    {
        rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
        rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
        rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
    }
)
"""Browsers, apps, telephones. Other agents, recorders and ingested streams aren't transcribed."""
RECOGNISE_SECONDS: Final = 40.0
"""At the end: time for what was said last to be recognised. A model on a busy machine's own CPU was measured 30 s behind."""
RETRY_SECONDS: Final = 1.0
"""A detector that failed gets a successor after this."""

log = structlog.get_logger()


class MeetingSession:
    """Listens to every human in a room until it is finished.

    Microphones are opened by `start`, and keep what they pick up until `transcribe` says that this agent is the one: what is
    said while agents settle that among themselves isn't lost.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        new_ear: Callable[[], Ear],
        open_microphone: Callable[[rtc.RemoteParticipant, Source], Microphone],
    ) -> None:
        self._room = room
        self._transcription: asyncio.Future[Transcription] = asyncio.get_running_loop().create_future()
        self._new_ear = new_ear
        self._open_microphone = open_microphone
        self._listening: dict[tuple[rtc.RemoteParticipant, Source], tuple[Microphone, asyncio.Task[None]]] = {}
        self._finishing = False

    def start(self) -> None:
        """Open the microphones of those who are here, and of those who come."""
        self._room.on("participant_connected", self._come)
        self._room.on("participant_disconnected", self._stop_listening_to)
        self._room.on("track_published", self._listen_to_share)
        self._room.on("reconnected", self._subscribe_again)
        for participant in self._room.remote_participants.values():
            self._come(participant)

    def transcribe(self, transcription: Transcription) -> None:
        """Transcribe all that the microphones have picked up since `start`, and go on."""
        transcription.open()
        self._transcription.set_result(transcription)

    async def finish(self) -> None:
        """Stop listening, wait for what was said last, then flush and close. Never raises: it is the job's last act.

        Where nothing was to be transcribed, nothing is.
        """
        self._finishing = True
        self._transcription.cancel()
        microphones = list(self._listening.values())
        for microphone, _task in microphones:
            microphone.stop()
        if microphones:
            _done, late = await asyncio.wait([task for _, task in microphones], timeout=RECOGNISE_SECONDS)
            for task in late:
                log.error("recogniser_too_late", task=task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if not self._transcription.cancelled():
            await self._transcription.result().close()

    def _come(self, participant: rtc.RemoteParticipant) -> None:
        self._listen_to(participant, "microphone")
        for publication in participant.track_publications.values():
            self._listen_to_share(publication, participant)

    def _subscribe_again(self) -> None:
        """A restarted SFU knows of no subscription, and what was asked for before the new connection stood went nowhere."""
        renewed = 0
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.kind == rtc.TrackKind.KIND_AUDIO and not publication.subscribed:
                    publication.set_subscribed(True)
                    renewed += 1
        log.info("connection_regained", subscriptions_renewed=renewed)

    def _listen_to_share(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        """Only once there is one: most never share a sound, and a stream that waits for it costs as much as one that plays."""
        if publication.source == rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO:
            self._listen_to(participant, "screen_share")

    def _listen_to(self, participant: rtc.RemoteParticipant, source: Source) -> None:
        """Each object that the SDK makes is one stay in the room: after a reconnect the same sid may come as another."""
        if self._finishing or participant.kind not in HUMANS or (participant, source) in self._listening:
            return
        try:
            microphone = self._open_microphone(participant, source)
        except Exception:  # left again in the same moment; the others must still be heard
            log.exception("microphone_unavailable", identity=participant.identity)
            return
        listening = self._listen(participant, source, microphone)
        task = asyncio.create_task(listening, name=f"listen-{participant.sid}-{source}")
        self._listening[participant, source] = (microphone, task)

    def _stop_listening_to(self, participant: rtc.RemoteParticipant) -> None:
        for (someone, _source), (microphone, _task) in self._listening.items():
            if someone is participant:
                microphone.stop()

    async def _listen(self, participant: rtc.RemoteParticipant, source: Source, microphone: Microphone) -> None:
        who = {"identity": participant.identity, "participant_sid": participant.sid, "source": source}
        log.info("participant_heard", **who)
        try:
            transcription = await asyncio.shield(self._transcription)
            speaker = partial(_speaker, participant)
            await transcription.listen(speaker, self._new_ear(), microphone.frames(), source)
        except Exception:
            log.exception("listening_failed", **who)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._listen_again_to, participant, source)
        finally:
            microphone.stop()  # its frames close it, if they were ever begun
            self._listening.pop((participant, source), None)
            log.info("participant_unheard", **who)

    def _listen_again_to(self, participant: rtc.RemoteParticipant, source: Source) -> None:
        if self._room.remote_participants.get(participant.identity) is participant:
            self._listen_to(participant, source)


def _speaker(participant: rtc.RemoteParticipant) -> Speaker:
    """The participant as a line names them now. A display name can be anything; the part of it that can be stored is kept."""
    name = clean_text(participant.name).encode()[:MAX_SPEAKER_BYTES].decode(errors="ignore")
    return Speaker(identity=participant.identity, name=name, kind="human")
