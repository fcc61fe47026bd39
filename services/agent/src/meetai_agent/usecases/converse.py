"""One meeting's conversation: what is asked of the agent, and when it talks.

Owns when it answers, one question at a time, and when it stops. It follows the transcription and can't hold it up: a
conversation that fails costs answers, not lines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

import structlog

from meetai_agent.domain.addressing import Address, address, opens_with_name
from meetai_agent.domain.briefing import Question, Recollection
from meetai_agent.domain.errors import AnswerFailedError
from meetai_agent.domain.heard import Voice
from meetai_agent.ports import Chat, QuestionMeter, Talker
from meetai_agent.usecases.floor import Floor
from meetai_contracts.room import Reply
from meetai_contracts.transcript import TranscriptLine

MAX_WAITING: Final = 3
"""Questions that wait while another is answered; one more, and the oldest of them is dropped. Old answers help nobody."""
CALL_SECONDS: Final = 4.0
"""Who says only the agent's name goes on within this, or is asked what they want."""
ANSWER_SECONDS: Final = 120.0
"""The longest that one answer may take, from the question to its last word."""
SORRY_SECONDS: Final = 20.0
MAX_QUESTION_CHARACTERS: Final = 4_000
SORRY: Final = "Sorry, I can't answer right now."

log = structlog.get_logger()


class Conversation:
    """`ports.Follower` that answers.

    Args:
        people: Display names of the people in the room, by identity.
    """

    def __init__(
        self,
        recollection: Recollection,
        talker: Talker,
        chat: Chat,
        floor: Floor,
        *,
        people: Callable[[], dict[str, str]],
        meter: QuestionMeter,
    ) -> None:
        self._floor = floor
        floor.when_taken(self._give_way)
        self._recollection = recollection
        self._talker = talker
        self._chat = chat
        self._people = people
        self._meter = meter
        self._waiting: deque[Question] = deque()
        self._asked = asyncio.Event()
        self._calls: dict[str, tuple[Question, asyncio.TimerHandle]] = {}

    @property
    def reply(self) -> Reply:
        """When it answers."""
        return self._recollection.agent.reply or "addressed"

    def voice_changed(self, identity: str, voice: Voice) -> None:
        """A person makes a sound, speaks, over the agent perhaps, or has paused."""
        self._floor.voice_changed(identity, voice)

    def line_added(self, line: TranscriptLine) -> None:
        """Remember a line; stop, if it was said over us; ask ourselves, if it is a question to the agent."""
        self._recollection.remember(line)
        if line.speaker.kind != "human":
            return
        since_ms = self._talker.talking_since_ms
        if since_ms is not None and line.ended_ms > since_ms:  # too short a word to be noticed, but a word
            self._give_way()
        if self.reply == "never":
            return
        identity = line.speaker.identity
        question = Question(identity, line.speaker.name or identity, line.text[:MAX_QUESTION_CHARACTERS], "voice")
        called = self._called(identity)
        if called is not None:
            self._ask(Question(identity, question.asker, f"{called.text} {question.text}", "voice"))
            return
        if self.reply == "always":
            self._ask(question)
            return
        match address(line.text, self._recollection.agent.name, self._others()):
            case Address.REQUEST:
                self._ask(question)
            case Address.CALL:
                timer = asyncio.get_running_loop().call_later(CALL_SECONDS, self._answer_call, identity)
                self._calls[identity] = (question, timer)
            case Address.NONE:
                pass

    def written(self, identity: str, name: str, text: str) -> None:
        """Take what a person wrote in the chat: to the agent, unless it opens with somebody else's name."""
        if self.reply == "never" or not text.strip():
            return
        if self.reply == "addressed" and opens_with_name(text, self._others()):
            return
        self._ask(Question(identity, name or identity, text.strip()[:MAX_QUESTION_CHARACTERS], "chat"))

    async def run(self) -> None:
        """Answer, one question at a time, until cancelled."""
        while True:
            while not self._waiting:
                self._asked.clear()
                await self._asked.wait()
            question = self._recollection.question = self._waiting.popleft()
            outcome = await self._answer(question)
            self._meter.question_ended(outcome)
            log.info("question_ended", outcome=outcome, by=question.by, identity=question.identity)
            self._recollection.question = None

    def close(self) -> None:
        """Nobody waits for an answer any more."""
        for _question, timer in self._calls.values():
            timer.cancel()
        self._calls.clear()
        self._waiting.clear()

    async def _answer(self, question: Question) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._talker.answer(question)
        except Exception:  # whatever it was, the next question may go well
            log.exception("answer_failed", by=question.by)
            self._talker.hush()
            await self._apologise(question)
            return "failed"
        return "answered"

    async def _apologise(self, question: Question) -> None:
        """Whoever asked aloud is told aloud, if there is still a voice."""
        if question.by == "voice":
            with suppress(AnswerFailedError, TimeoutError):
                async with asyncio.timeout(SORRY_SECONDS):
                    await self._talker.say(SORRY)
                    return
        self._chat.write(SORRY)

    def _ask(self, question: Question) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._meter.question_ended("dropped")
            log.warning("question_dropped", waiting=len(self._waiting))
        self._waiting.append(question)
        self._asked.set()

    def _called(self, identity: str) -> Question | None:
        """What somebody called out just before, if they did; it is taken up now."""
        question, timer = self._calls.pop(identity, (None, None))
        if timer is not None:
            timer.cancel()
        return question

    def _answer_call(self, identity: str) -> None:
        question = self._called(identity)
        if question is not None:
            self._ask(question)

    def _give_way(self) -> None:
        if self._talker.talking_since_ms is not None:
            log.info("answer_interrupted")
            self._talker.hush()

    def _others(self) -> Collection[str]:
        return self._people().values()
