"""When the agent answers and when it stops, over a talker that a test plays."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.unit.agent.samples import new_producer
from tests.waiting import until

from meetai_agent.domain.briefing import Question, Recollection
from meetai_agent.domain.errors import AnswerFailedError
from meetai_agent.usecases import converse, floor
from meetai_agent.usecases.converse import SORRY, Conversation
from meetai_agent.usecases.floor import Floor
from meetai_contracts.room import AgentData, MeetingData, Reply, RoomMetadata
from meetai_contracts.transcript import Speaker, SpeakerKind, TranscriptLine

PRODUCER = new_producer()
TALKS_FROM_MS = 1_000


def metadata(reply: Reply | None = None, *, name: str = "Minutes") -> RoomMetadata:
    return RoomMetadata(1, MeetingData("m", "Launch"), AgentData(name=name, instructions="", reply=reply))


class FakeTalker:
    """`ports.Talker` that talks until it is told to be done, or hushed."""

    def __init__(self) -> None:
        self.answered: list[Question] = []
        self.said: list[str] = []
        self.talking_since_ms: int | None = None
        self.failing = False
        self.mute = False
        self.patient = False
        self.hushed = 0
        self._over = asyncio.Event()

    async def answer(self, question: Question) -> None:
        self.answered.append(question)
        if self.failing:
            raise AnswerFailedError("away")
        if not self.patient:
            return
        self.talking_since_ms = TALKS_FROM_MS
        self._over.clear()
        try:
            await self._over.wait()
        finally:
            self.talking_since_ms = None

    async def say(self, text: str) -> None:
        if self.mute:
            raise AnswerFailedError("nobody listens")
        self.said.append(text)

    def hush(self) -> None:
        self.hushed += 1
        self._over.set()


class Bench:
    def __init__(self) -> None:
        self.talker = FakeTalker()
        self.chat: list[str] = []
        self.counts: Counter[str] = Counter()
        self.floor = Floor()
        self.recollection = Recollection(metadata())
        self.conversation = Conversation(
            self.recollection,
            self.talker,
            self,
            self.floor,
            people=lambda: {"ada": "Ada", "ben": "Ben"},
            meter=self,
        )

    def write(self, text: str) -> None:
        self.chat.append(text)

    def question_ended(self, outcome: str) -> None:
        self.counts[outcome] += 1

    def hear(self, text: str, *, who: str = "ada", kind: SpeakerKind = "human", until_ms: int = 2) -> None:
        self.conversation.line_added(TranscriptLine(PRODUCER.id, 1, Speaker(who, who.title(), kind), text, 1, until_ms))

    async def talks(self) -> None:
        self.hear("Minutes, who is here?")
        await until(lambda: self.talker.talking_since_ms)

    async def answered(self, count: int) -> list[str]:
        await until(lambda: len(self.talker.answered) >= count)
        for _ in range(5):
            await asyncio.sleep(0)
        return [question.text for question in self.talker.answered]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    running = asyncio.create_task(bench.conversation.run())
    yield bench
    bench.conversation.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_question_is_answered_when_the_agent_is_addressed_and_only_then(bench: Bench) -> None:
    """Who asked and how is known."""
    bench.hear("The minutes are ready.")
    bench.hear("Minutes, who is here?", who="ben")
    assert await bench.answered(1) == ["Minutes, who is here?"]
    assert bench.talker.answered == [Question("ben", "Ben", "Minutes, who is here?", "voice")]
    assert bench.counts == {"answered": 1}


@pytest.mark.parametrize(("reply", "expected"), [("always", 2), ("never", 0), ("addressed", 1)])
async def test_the_application_decides_when_the_agent_answers(bench: Bench, reply: Reply, expected: int) -> None:
    """From the moment it says so."""
    bench.recollection.learn(metadata(reply))
    bench.hear("Nice weather.")
    bench.conversation.written("ben", "Ben", "hello")
    await bench.answered(expected)
    assert len(bench.talker.answered) == expected


async def test_the_agent_answers_to_its_new_name_when_that_was_changed(bench: Bench) -> None:
    """And no more to the old one."""
    bench.recollection.learn(metadata(name="Scribe"))
    bench.hear("Minutes, who is here?")
    bench.hear("Scribe, who is here?")
    assert await bench.answered(1) == ["Scribe, who is here?"]


async def test_an_agents_line_is_no_question_when_it_holds_the_name(bench: Bench) -> None:
    """Its own, or another's: agents don't talk to each other."""
    bench.recollection.learn(metadata("always"))
    bench.hear("Minutes, who is here?", kind="agent")
    bench.hear("Hello.")
    assert await bench.answered(1) == ["Hello."]


async def test_a_message_is_answered_when_it_is_not_for_somebody_else(bench: Bench) -> None:
    """Without a name: whoever writes there writes to the agent, unless the message opens with another's name."""
    bench.conversation.written("ada", "Ada", "Ben, did you see this?")
    bench.conversation.written("ada", "Ada", "  ")
    bench.conversation.written("ada", "Ada", " what time is it? ")
    assert await bench.answered(1) == ["what time is it?"]
    assert bench.talker.answered[0].by == "chat"


async def test_a_call_and_what_follows_are_one_question_when_somebody_pauses_after_the_name(bench: Bench) -> None:
    """Others' words in between are not theirs."""
    bench.hear("Minutes?")
    bench.hear("Well, well.", who="ben")
    bench.hear("Who is here?")
    assert await bench.answered(1) == ["Minutes? Who is here?"]


async def test_a_call_is_answered_when_nothing_follows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment."""
    monkeypatch.setattr(converse, "CALL_SECONDS", 0.01)
    bench.hear("Minutes?")
    assert await bench.answered(1) == ["Minutes?"]


async def test_the_agent_stops_when_a_person_talks_over_it(bench: Bench) -> None:
    """At once; while it doesn't talk, nobody interrupts it."""
    bench.talker.patient = True
    for voice in ("noticed", "speaking", "paused"):
        bench.conversation.voice_changed("ada", voice)
    assert bench.talker.hushed == 0
    await bench.talks()
    bench.conversation.voice_changed("ben", "speaking")
    assert bench.talker.hushed == 1
    await until(lambda: bench.counts == {"answered": 1})


async def test_the_agent_talks_on_when_somebody_coughs(bench: Bench) -> None:
    """Or when it hears only now what was said before it began; a word said over it stops it, however short."""
    bench.talker.patient = True
    await bench.talks()
    bench.conversation.voice_changed("ben", "noticed")
    bench.conversation.voice_changed("ben", "paused")
    bench.hear("As I said.", who="ben", until_ms=TALKS_FROM_MS - 1)
    assert bench.talker.hushed == 0
    bench.hear("Stop!", who="ben", until_ms=TALKS_FROM_MS + 300)
    assert bench.talker.hushed == 1


async def test_questions_wait_for_their_turn_when_one_is_being_answered(bench: Bench) -> None:
    """Three at most: of those that wait the oldest goes, and is counted."""
    bench.talker.patient = True
    for number in range(6):
        bench.conversation.written("ada", "Ada", str(number))
        if number == 0:
            await until(lambda: bench.talker.talking_since_ms)
    bench.talker.patient = False
    bench.talker.hush()
    assert await bench.answered(4) == ["0", "3", "4", "5"]
    assert bench.counts == {"answered": 4, "dropped": 2}


@pytest.mark.parametrize("mute", [False, True])
async def test_whoever_asked_is_told_when_there_is_no_answer(bench: Bench, mute: bool) -> None:
    """Aloud if aloud and possible, else in the chat; the next question may go well."""
    bench.talker.failing, bench.talker.mute = True, mute
    bench.hear("Minutes, who is here?")
    bench.conversation.written("ben", "Ben", "who?")
    await bench.answered(2)
    await until(lambda: bench.counts == {"failed": 2})
    assert (bench.talker.said, bench.chat) == (([], [SORRY, SORRY]) if mute else ([SORRY], [SORRY]))
    bench.talker.failing = False
    bench.hear("Minutes, who is here?")
    await until(lambda: bench.counts["answered"] == 1)


async def test_an_answer_ends_when_it_takes_too_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that never ends holds nobody up."""
    monkeypatch.setattr(converse, "ANSWER_SECONDS", 0.05)
    bench.talker.patient = True
    bench.hear("Minutes, who is here?")
    await until(lambda: bench.counts == {"failed": 1})
    assert bench.talker.hushed == 1


async def test_the_floor_is_free_when_nobody_speaks_any_more() -> None:
    """Two people have to pause."""
    taken: list[bool] = []
    held = Floor()
    held.when_taken(lambda: taken.append(True))
    held.voice_changed("ada", "speaking")
    held.voice_changed("ben", "noticed")
    waiting = asyncio.create_task(held.free())
    held.voice_changed("ada", "paused")
    await asyncio.sleep(0)
    assert not waiting.done()
    held.voice_changed("ben", "paused")
    async with asyncio.timeout(5):
        await waiting
    assert taken == [True]


async def test_the_floor_is_taken_all_the_same_when_nobody_ever_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A microphone that hears music never does."""
    monkeypatch.setattr(floor, "WAIT_SECONDS", 0.01)
    held = Floor()
    held.voice_changed("ada", "speaking")
    async with asyncio.timeout(5):
        await held.free()
