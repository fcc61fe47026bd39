"""The agent's mind and mouth: livekit-agents' `AgentSession`, without ears of its own.

Owns the session: a language model with tools, a voice, the room's audio track, and what of an answer was really played. Who is
listened to and what counts as a question are decided elsewhere. Text is synchronised with the audio here, and not by the
framework's room output, which would publish `lk.transcription` a second time beside our captions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal
from uuid import uuid4

import structlog
from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions, ConversationItemAddedEvent, llm, tts
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.room_io import RoomOptions
from livekit.agents.voice.speech_handle import SpeechHandle
from livekit.agents.voice.transcription import TranscriptSynchronizer

from meetai_agent.adapters.meeting_agent import MeetingAgent, Words
from meetai_agent.domain.briefing import Briefing, Question, wording_of
from meetai_agent.domain.errors import AnswerFailedError
from meetai_agent.domain.heard import InterimWords, Spoken
from meetai_agent.ports import Chat, Clock

CONNECT: Final = APIConnectOptions(max_retry=1, retry_interval=0.5, timeout=8.0)
"""A provider that hangs is given up after some 17 s: nobody who asked waits longer than that for a sorry."""
NEVER_CLOSE: Final = 1_000_000_000
"""Failures in a row: by default the framework ends a session after three, here the next question may go well."""
SUBSCRIBE_SECONDS: Final = 3.0
"""Somebody subscribes to the agent's track within this, or the answer is text alone."""
CLOSE_SECONDS: Final = 10.0

log = structlog.get_logger()


class SessionTalker:
    """`ports.Talker` by an `AgentSession`.

    Args:
        briefing: What is known when an answer is due.
        floor: Waits until nobody speaks.
        on_words: Told what is being said, as far as it has come.
        on_spoken: Told what was said, once it is over.
        on_exit: Called when the session ends, before it waits for its tools: whoever waits for a person there must be let go.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        responder: llm.LLM[Any],
        voice: tts.TTS[Any],
        tools: Sequence[llm.FunctionTool[..., Any]],
        on_exit: Callable[[], None],
        chat: Chat,
        briefing: Callable[[], Briefing],
        floor: Callable[[], Awaitable[None]],
        on_words: Callable[[InterimWords], None],
        on_spoken: Callable[[Spoken], None],
        clock: Clock,
    ) -> None:
        self._room = room
        self._briefing = briefing
        self._on_words = on_words
        self._on_spoken = on_spoken
        self._clock = clock
        self._voice = voice
        self._retiring: set[asyncio.Task[None]] = set()
        self._words = ""
        self._segment = uuid4().hex
        self._started_ms = 0
        self._synchronizer: TranscriptSynchronizer | None = None
        self._agent = MeetingAgent(voice, tools, on_exit=on_exit, chat=chat, briefing=briefing, floor=floor)
        self._session: AgentSession[None] = AgentSession(
            llm=responder,
            vad=None,
            turn_handling={
                "turn_detection": "manual",
                "endpointing": {"mode": "fixed"},
                "interruption": {"mode": "vad", "resume_false_interruption": False},
                "preemptive_generation": {"enabled": False},
            },
            conn_options=SessionConnectOptions(
                llm_conn_options=CONNECT, tts_conn_options=CONNECT, max_unrecoverable_errors=NEVER_CLOSE
            ),
            aec_warmup_duration=None,
            user_away_timeout=None,
        )
        self._session.on("conversation_item_added", self._item_added)

    @property
    def talking_since_ms(self) -> int | None:
        """When its voice began; None while it is silent."""
        if self._session.agent_state != "speaking":
            return None
        return self._started_ms if self._words else self._clock.unix_ms()

    async def start(self) -> None:
        """Publish the track and be ready to answer."""
        options = RoomOptions(
            audio_input=False, text_input=False, text_output=False, audio_output=True, close_on_disconnect=False
        )
        # session_host would let anybody in the room drive the session.
        await self._session.start(self._agent, room=self._room, room_options=options, record=False, session_host=False)
        audio = self._session.output.audio
        if audio is None:
            raise RuntimeError("the session has no audio output")
        self._synchronizer = TranscriptSynchronizer(next_in_chain_audio=audio, next_in_chain_text=Words(self._said))
        self._session.output.audio = self._synchronizer.audio_output
        self._session.output.transcription = self._synchronizer.text_output

    async def answer(self, question: Question) -> None:
        """Answer, and return when that is over or was cut short.

        Raises:
            AnswerFailedError: the language model or the voice failed for good.
        """
        self._session.output.set_audio_enabled(await self._is_listened_to())
        modality: Literal["audio", "text"] = "audio" if question.by == "voice" else "text"
        await self._await(
            lambda: self._session.generate_reply(user_input=wording_of(question), input_modality=modality)
        )

    async def say(self, text: str) -> None:
        """Say just this.

        Raises:
            AnswerFailedError: the voice failed, or nobody listens.
        """
        if not await self._is_listened_to():
            raise AnswerFailedError("nobody listens")
        self._session.output.set_audio_enabled(True)
        await self._await(lambda: self._session.say(text))

    def hush(self) -> None:
        """Stop talking at once; a tool that is asking somebody goes on."""
        speech = self._session.current_speech
        if speech is not None and not speech.done():
            speech.interrupt(force=True)

    def change_voice(self, voice: tts.TTS[Any]) -> None:
        """Speak with another voice from the next answer on."""
        old = self._voice
        self._voice = voice
        self._agent.update_options(tts=voice)
        retiring = asyncio.create_task(self._retire(old), name="voice-retire")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def aclose(self) -> None:
        """Stop talking, and give back everything. Never raises."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._session.aclose()
                if self._synchronizer is not None:
                    await self._synchronizer.aclose()
                await asyncio.gather(*self._retiring, return_exceptions=True)
                await self._voice.aclose()
        except Exception:
            log.exception("conversation_close_failed")

    async def _await(self, begin: Callable[[], SpeechHandle]) -> None:
        """One speech, to its end or the caller's patience's."""
        self._agent.failed = None
        handle = begin()
        try:
            await handle
        finally:
            handle.interrupt(force=True)  # without effect on one that is over
            self._forget_old()
        failed = handle.exception() or self._agent.failed
        if failed is not None:
            raise AnswerFailedError("a provider failed") from failed

    async def _retire(self, voice: tts.TTS[Any]) -> None:
        """Give back a voice, once it has finished its sentence."""
        if (speech := self._session.current_speech) is not None:
            await speech
        with suppress(Exception):
            await voice.aclose()

    async def _is_listened_to(self) -> bool:
        """Whether anybody hears the track: the framework would wait for a listener for ever."""
        subscribed = self._session.room_io.subscribed_fut
        if subscribed is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await asyncio.shield(subscribed)
        return subscribed.done()

    def _said(self, words: str) -> None:
        if not self._words:
            self._started_ms = self._clock.unix_ms()
        self._words += words
        language = self._briefing().agent.language
        self._on_words(InterimWords(self._segment, self._words, self._started_ms, language))

    def _item_added(self, event: ConversationItemAddedEvent) -> None:
        """A message is added once it was played, as far as it was. One that wasn't played has no times."""
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role != "assistant":
            return
        started, ended = item.metrics.get("started_speaking_at"), item.metrics.get("stopped_speaking_at")
        segment, self._segment, self._words = self._segment, uuid4().hex, ""
        if started is None or ended is None or not self._session.output.audio_enabled:
            return
        text = item.text_content or ""
        language = self._briefing().agent.language
        self._on_spoken(Spoken(segment, text, round(started * 1000), round(ended * 1000), language, item.interrupted))

    def _forget_old(self) -> None:
        """The framework keeps every message and every event for as long as the session lasts."""
        self._agent.forget_old(self._session.history)
        self._session._recorded_events.clear()  # noqa: SLF001 - there is no public way
