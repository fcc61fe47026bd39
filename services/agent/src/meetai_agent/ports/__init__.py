"""What the use cases need from outside, as Protocols. The adapters keep these promises; so do the tests' fakes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from livekit import rtc

from meetai_agent.domain.batches import Producer
from meetai_agent.domain.briefing import Question
from meetai_agent.domain.fence import Stand
from meetai_agent.domain.heard import Heard, Voice
from meetai_contracts.transcript import LiveTranscript, TranscriptLine


class Clock(Protocol):
    """Time."""

    def unix_ms(self) -> int:
        """The wall clock, Unix milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class BatchStream(Protocol):
    """The stream that carries batches to the store."""

    async def append(self, meeting_id: str, batch: bytes) -> None:
        """Append one entry; bounded in time.

        Raises:
            StreamUnavailableError: not confirmed; it may have landed.
        """


class KeptLines(Protocol):
    """Lines on local disk until the stream has them. Never raises: a spool that fails is a spool that is away."""

    def acknowledge(self, seq: int) -> None:
        """Lines up to `seq` need no keeping any more."""

    def read(
        self, first_seq: int, last_seq: int, offset: int, *, max_lines: int, max_bytes: int
    ) -> tuple[list[TranscriptLine], int | None]:
        """The lines `first_seq` to `last_seq` found from `offset` on, as many as the limits allow but at least one.

        Returns:
            The lines in order, and where the rest begins, None if there is no rest.
        """

    def remove(self) -> None:
        """Everything in it has been acknowledged and closed: forget it."""

    def release(self) -> None:
        """Leave what is in it for the worker to replay."""


class Spool(KeptLines, Protocol):
    """The spool of the job that runs here."""

    def append(self, line: TranscriptLine) -> int | None:
        """Keep a line before anything else is done with it. Returns where it is, or None when it couldn't be kept."""

    def skip(self, seq: int) -> None:
        """Note that a number was given to what has no line, so that a replay names it lost."""


class DeadSpool(KeptLines, Protocol):
    """The spool of a job that ended without closing it; nobody else has it open."""

    @property
    def producer(self) -> Producer:
        """Whose it was."""

    @property
    def acknowledged_seq(self) -> int:
        """Lines up to here are in the stream."""

    @property
    def last_seq(self) -> int:
        """The highest `seq` that the job is known to have given, whether or not the spool has the line."""

    @property
    def first_offset(self) -> int:
        """Where the first line after `acknowledged_seq` is."""

    def set_aside(self) -> None:
        """Keep it for a person to look at: it can't be replayed."""


class DeadSpools(Protocol):
    """The spools that killed jobs left behind."""

    def claim(self) -> Sequence[DeadSpool]:
        """Open every spool that no living job holds. Never raises; reads whole files, so call it in a thread."""


class Captions(Protocol):
    """The live channel to the people in the room."""

    def publish(self, caption: LiveTranscript) -> None:
        """Send it soon, in order, without waiting; when the room is away too long the oldest are dropped and counted."""


class OtherAgents(Protocol):
    """The other agents of this system in the room, the ghosts of killed ones among them."""

    def start(
        self, *, answer: Callable[[Stand], Stand], came: Callable[[str], None], returned: Callable[[], None]
    ) -> None:
        """From now on answer those that ask, say who comes, and say when this agent has lost the room and is back."""

    def present(self) -> frozenset[str]:
        """The identities of those that are here."""

    async def ask(self, identity: str, mine: Stand) -> Stand | None:
        """Tell one where this agent stands, and ask where it does. Bounded in time; None when it doesn't answer."""


class Microphone(Protocol):
    """One participant's microphone."""

    def frames(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        """What it picks up (16 kHz, mono) until the participant leaves or `stop` is called."""

    def stop(self) -> None:
        """End the frames soon."""


OnVoice = Callable[[Voice], None]
"""Told of somebody's voice before any of it is recognised."""


class Ear(Protocol):
    """A recogniser for one participant's microphone."""

    def listen(self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice) -> AsyncGenerator[Heard, None]:
        """What is said in the frames (16 kHz, mono), in order; ends after the frames have ended and all is recognised."""


class Follower(Protocol):
    """Somebody who follows a meeting while it is transcribed. Never waits; what it raises is logged and not passed on."""

    def line_added(self, line: TranscriptLine) -> None:
        """A line was numbered and is on its way."""

    def voice_changed(self, identity: str, voice: Voice) -> None:
        """A person was noticed, speaks, or has paused."""


class Talker(Protocol):
    """The agent's mouth and mind."""

    @property
    def talking_since_ms(self) -> int | None:
        """When its voice began, Unix milliseconds, while it is being played; else None."""

    async def answer(self, question: Question) -> None:
        """Answer, by voice and, where it was asked so, in the chat. Returns when that is over, or was cut short.

        Raises:
            AnswerFailedError: there is no answer.
        """

    async def say(self, text: str) -> None:
        """Say just this.

        Raises:
            AnswerFailedError: the voice failed, or nobody listens.
        """

    def hush(self) -> None:
        """Stop talking at once; what was said so far stands. Without effect while nothing is being said."""


class Chat(Protocol):
    """The room's text chat."""

    def write(self, text: str) -> None:
        """Send it soon, in order, without waiting; when the room is away too long the oldest are dropped."""


class Meter(Protocol):
    """Counts that an operator watches."""

    def line_numbered(self) -> None:
        """A final line was given its `seq`."""

    def line_lost(self) -> None:
        """A line found no room in memory nor in the spool; a `gap` names it."""

    def batch_sent(self, kind: str) -> None:
        """The stream confirmed a batch."""

    def attempt_failed(self) -> None:
        """The stream didn't confirm a batch."""

    def spool_failed(self) -> None:
        """The spool couldn't take a line."""

    def caption_dropped(self) -> None:
        """A caption was dropped because the room didn't take it in time."""

    def recogniser_failed(self, name: str) -> None:
        """An attempt of this recogniser broke off; its audio goes to the next attempt."""

    def speech_unrecognised(self) -> None:
        """Speech gave no text because recognisers failed; a `gap` names it."""


class LatencyMeter(Protocol):
    """How long people wait to read what was said."""

    def speech_recognised(self, seconds: float) -> None:
        """Words were final so long after they had ended."""

    def caption_published(self, topic: str, seconds: float) -> None:
        """The room took a final caption on this channel, so long after it was final; one that it didn't take counts as the longest."""


class JobMeter(Meter, LatencyMeter, Protocol):
    """All that is counted of one meeting."""


class QuestionMeter(Protocol):
    """Counts of the conversation."""

    def question_ended(self, outcome: str) -> None:
        """A question was `answered` (cut short or not), `failed`, or `dropped` because too many waited."""
