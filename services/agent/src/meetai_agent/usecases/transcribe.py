"""One meeting's transcript: every final gets its number, then goes to the room and to the buffer at once.

Owns the order of things when a final arrives: number, spool, buffer, caption. Nothing between the number and the spool may
wait, because a process can be killed at any await (DESIGN, invariant 1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Final

import structlog
from livekit import rtc
from opentelemetry.context import Context
from opentelemetry.trace import Tracer

from meetai_agent.domain.batches import Producer
from meetai_agent.domain.heard import FinalWords, Heard, InterimWords, Spoken, Unrecognised, Voice, storable_pieces
from meetai_agent.ports import Captions, Clock, Ear, Follower, JobMeter, Spool
from meetai_agent.usecases.deliver import Delivery
from meetai_contracts.identifiers import clean_text
from meetai_contracts.transcript import CaptionSpeaker, LiveTranscript, Source, Speaker, TranscriptLine
from meetai_servicekit.tracing import NO_TRACING

FINAL_FLUSH_SECONDS: Final = 30.0
"""What isn't delivered by then stays in the spool for the worker; the framework's own limit is 300 s."""

log = structlog.get_logger()


class Transcription:
    """The transcript of one job, from its first line to its close."""

    def __init__(
        self,
        producer: Producer,
        *,
        spool: Spool,
        delivery: Delivery,
        captions: Captions,
        clock: Clock,
        meter: JobMeter,
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._producer = producer
        self._tracer = tracer
        self._clock = clock
        self._spool = spool
        self._delivery = delivery
        self._captions = captions
        self._meter = meter
        self._seq = 0
        self._delivering: asyncio.Task[None] | None = None
        self._follower: Follower | None = None

    def follow(self, follower: Follower) -> None:
        """From now on, tell somebody of every line and of every voice."""
        self._follower = follower

    def open(self) -> None:
        """Start delivering: the stream learns of this producer before its first line."""
        self._delivering = asyncio.create_task(self._delivery.run(), name="delivery")

    async def listen(
        self,
        speaker: Callable[[], Speaker],
        ear: Ear,
        frames: AsyncGenerator[rtc.AudioFrame, None],
        source: Source = "microphone",
    ) -> None:
        """Transcribe one participant's microphone, or the sound of their screen, until its frames end.

        Who follows the meeting isn't told of the latter: a film that says the agent's name is nobody who speaks to it.

        When that is cut short, by a fault or because it takes too long at the end, the last words that were shown as
        interim are kept as final, and a number is named lost: nobody here knows what the ear still had.

        `speaker` is asked as each line begins, because people change their names in the middle of a meeting; a line's
        interims and its final have one name.
        """
        who = speaker()
        on_voice = partial(self._tell_voice, who.identity) if source == "microphone" else _tell_nobody
        pending: InterimWords | None = None
        try:
            async with aclosing(ear.listen(frames, on_voice)) as hearing:
                async for heard in hearing:
                    if pending is None:
                        who = speaker()
                    pending = heard if isinstance(heard, InterimWords) else None
                    self._take(who, heard, source)
        except (Exception, asyncio.CancelledError):
            self._cut_short(who, pending, source)
            raise
        finally:
            on_voice("paused")

    def say(self, agent: Speaker, spoken: Spoken) -> None:
        """Take what the agent itself has said: a line like any other, of its own kind."""
        words = FinalWords(spoken.segment, spoken.text, spoken.started_ms, spoken.ended_ms, spoken.language)
        self._add(agent, words, interrupted=spoken.interrupted)

    def say_interim(self, agent: Speaker, words: InterimWords) -> None:
        """Caption what the agent is saying, as far as it has come."""
        self._caption_interim(agent, words)

    async def close(self) -> bool:
        """Flush what is left and mark the producer closed. Returns whether all of it was delivered in time."""
        self._delivery.close()
        if self._delivering is None:
            return False
        await asyncio.wait([self._delivering], timeout=FINAL_FLUSH_SECONDS)
        if self._delivering.done() and not self._delivering.cancelled() and self._delivering.exception() is None:
            log.info("transcription_closed", producer_id=str(self._producer.id), lines=self._seq)
            return True
        self._delivering.cancel()
        await asyncio.gather(self._delivering, return_exceptions=True)
        self._spool.release()
        log.error("transcription_left_in_spool", producer_id=str(self._producer.id), lines=self._seq)
        return False

    def _take(self, speaker: Speaker, heard: Heard, source: Source) -> None:
        match heard:
            case InterimWords():
                self._caption_interim(speaker, heard, source)
            case FinalWords():
                self._add(speaker, heard, source)
                self._meter.speech_recognised(max(0.0, (self._clock.unix_ms() - heard.ended_ms) / 1000))
            case Unrecognised():
                self._name_lost(speaker, heard.ended_ms - heard.started_ms)

    def _add(
        self, speaker: Speaker, heard: FinalWords, source: Source = "microphone", *, interrupted: bool = False
    ) -> None:
        for text in storable_pieces(heard.text):
            self._seq += 1
            line = TranscriptLine(
                producer_id=self._producer.id,
                seq=self._seq,
                speaker=speaker,
                text=text,
                started_ms=heard.started_ms,
                ended_ms=max(heard.started_ms, heard.ended_ms),
                language=heard.language,
                confidence=heard.confidence,
                interrupted=interrupted,
                source=source,
            )
            with self._tracer.start_as_current_span(
                "transcript.line", context=Context(), record_exception=False, set_status_on_exception=False
            ) as span:
                offset = self._spool.append(line)
                if offset is None:
                    self._meter.spool_failed()
                self._delivery.add(line, offset)
                self._captions.publish(_final_caption(line, heard.segment))
                span.set_attributes({"meetai.line_id": line.id, "meetai.room_sid": self._producer.room_sid})
            self._meter.line_numbered()
            if source == "microphone":
                self._tell_line(line)

    def _tell_line(self, line: TranscriptLine) -> None:
        if self._follower is not None:
            with _nothing_raised():
                self._follower.line_added(line)

    def _tell_voice(self, identity: str, voice: Voice) -> None:
        if self._follower is not None:
            with _nothing_raised():
                self._follower.voice_changed(identity, voice)

    def _cut_short(self, speaker: Speaker, pending: InterimWords | None, source: Source) -> None:
        if pending is not None:
            ended_ms = pending.ended_ms or pending.started_ms
            words = FinalWords(pending.segment, pending.text, pending.started_ms, ended_ms, pending.language)
            self._add(speaker, words, source)
        self._name_lost(speaker, None)

    def _name_lost(self, speaker: Speaker, ms: int | None) -> None:
        """Speech without words takes a number, and a gap names it: who reads the transcript must know."""
        self._seq += 1
        self._spool.skip(self._seq)
        self._delivery.lose(self._seq)
        self._meter.speech_unrecognised()
        log.error(
            "speech_unrecognised",
            producer_id=str(self._producer.id),
            identity=speaker.identity,
            seq=self._seq,
            ms=ms,
        )

    def _caption_interim(self, speaker: Speaker, heard: InterimWords, source: Source = "microphone") -> None:
        self._captions.publish(
            LiveTranscript(
                v=1,
                segment=heard.segment,
                final=False,
                speaker=_caption_speaker(speaker),
                text=clean_text(heard.text),
                started_ms=heard.started_ms,
                language=heard.language,
                source=source,
            )
        )


@contextmanager
def _nothing_raised() -> Iterator[None]:
    """Whoever follows may fail without a line being lost."""
    try:
        yield
    except Exception:
        log.exception("follower_failed")


def _tell_nobody(_voice: Voice) -> None:
    """Sound that is nobody's voice."""


def _final_caption(line: TranscriptLine, segment: str) -> LiveTranscript:
    return LiveTranscript(
        v=1,
        segment=segment,
        final=True,
        id=line.id,
        speaker=_caption_speaker(line.speaker),
        text=line.text,
        started_ms=line.started_ms,
        ended_ms=line.ended_ms,
        language=line.language,
        source=line.source,
    )


def _caption_speaker(speaker: Speaker) -> CaptionSpeaker:
    return CaptionSpeaker(identity=speaker.identity, name=speaker.name, kind=speaker.kind)
