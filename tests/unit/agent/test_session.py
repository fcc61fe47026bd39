"""Who is listened to, from joining to leaving, over a room that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from tests.unit.agent.fake_room import AGENT, FakeRoom, Someone
from tests.unit.agent.fakes import (
    MemoryDisk,
    MemorySpool,
    MemoryStream,
    RecordingCaptions,
    RecordingFollower,
    RecordingMeter,
    ScriptedMicrophone,
    VirtualClock,
)
from tests.unit.agent.samples import decoded, lines_of, new_producer
from tests.waiting import until

from meetai_agent import session as session_module
from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.heard import FinalWords, Heard
from meetai_agent.ports import OnVoice
from meetai_agent.session import MeetingSession
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import Source, TranscriptLine


class FrameEar:
    """Hears its own number in each frame, fails on demand, and says goodbye slowly where it was told to."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def listen(
        self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
    ) -> AsyncGenerator[Heard, None]:
        async for _ in frames:
            if self._bench.fail:
                self._bench.fail = False
                raise RuntimeError("the detector broke")
            yield FinalWords("s", "word", 1, 2)
        await self._bench.may_end.wait()
        yield FinalWords("s", "last word", 1, 2)


class Bench:
    def __init__(self) -> None:
        self.fail = self.no_ear = False
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.unavailable = False
        self.room = FakeRoom()
        self.microphones: list[tuple[Someone, ScriptedMicrophone]] = []
        self.sources: list[Source] = []
        self.stream = MemoryStream()
        producer, meter = new_producer(), RecordingMeter()
        spool = MemorySpool(MemoryDisk(), producer)
        buffer = TranscriptBuffer(producer, random=lambda: 0.0)
        delivery = Delivery(producer, buffer, stream=self.stream, kept=spool, clock=VirtualClock(), meter=meter)
        captions = self.captions = RecordingCaptions()
        self.transcription = Transcription(
            producer, spool=spool, delivery=delivery, captions=captions, clock=VirtualClock(), meter=meter
        )
        self.session = MeetingSession(
            cast("rtc.Room", self.room),
            new_ear=self._new_ear,
            open_microphone=self._open,
        )

    def start(self) -> None:
        self.session.start()
        self.session.transcribe(self.transcription)

    def _new_ear(self) -> FrameEar:
        if self.no_ear:
            raise RuntimeError("no detector")
        return FrameEar(self)

    def _open(self, participant: Any, source: Source) -> ScriptedMicrophone:
        self.sources.append(source)
        if self.unavailable:
            self.unavailable = False
            raise RuntimeError("left again")
        microphone = ScriptedMicrophone()
        self.microphones.append((participant, microphone))
        return microphone

    async def said(self) -> list[tuple[str, str]]:
        """Speakers and words as stored, once the session is finished."""
        return [(line.speaker.identity, line.text) for line in await self.stored()]

    async def stored(self) -> list[TranscriptLine]:
        """Lines as stored, once the session is finished."""
        await self.session.finish()
        return lines_of(decoded(self.stream.batches()))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    before = asyncio.all_tasks()
    bench = Bench()
    yield bench
    await bench.session.finish()
    assert asyncio.all_tasks() <= before | {task for task in [asyncio.current_task()] if task}, "tasks are left"


async def test_everyone_is_heard_when_they_were_there_or_come_later(bench: Bench) -> None:
    """Humans only: other agents aren't transcribed."""
    bench.room.join(Someone("early"))
    bench.start()
    bench.room.join(Someone("late"))
    bench.room.join(Someone("bot", kind=AGENT))
    assert [someone.identity for someone, _ in bench.microphones] == ["early", "late"]
    for _, microphone in bench.microphones:
        microphone.pick_up()
    await until(lambda: all(microphone._frames.empty() for _, microphone in bench.microphones))
    assert sorted(await bench.said()) == [
        *(("early", "last word"), ("early", "word")),
        *(("late", "last word"), ("late", "word")),
    ]
    assert all(microphone.closed for _, microphone in bench.microphones)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_the_sound_of_a_screen_is_its_sharers_and_marked_when_it_is_shared(bench: Bench, before: bool) -> None:
    """However often it is published; it goes when they do, and who follows the meeting takes it for nobody's voice."""
    follower = RecordingFollower()
    bench.transcription.follow(follower)
    maya = Someone("maya")
    bench.room.join(maya)
    if before:
        bench.room.share_sound(maya)
    bench.start()
    bench.room.share_sound(maya)
    bench.room.share_sound(maya)
    assert bench.sources == ["microphone", "screen_share"]
    for _, microphone in bench.microphones:
        microphone.pick_up()
    await until(lambda: all(microphone._frames.empty() for _, microphone in bench.microphones))
    bench.room.leave(maya)
    await until(lambda: all(microphone.closed for _, microphone in bench.microphones))
    stored = await bench.stored()
    assert [line.speaker.identity for line in stored] == ["maya"] * 4
    assert sorted(line.source for line in stored) == [*["microphone"] * 2, *["screen_share"] * 2]
    assert sorted(caption.source for caption in bench.captions.published) == [
        *["microphone"] * 2,
        *["screen_share"] * 2,
    ]
    assert follower.told == ["word", "last word", "maya paused"]


async def test_sound_that_is_not_subscribed_to_is_when_the_connection_was_lost_and_is_back(bench: Bench) -> None:
    """What was asked for in between went nowhere."""
    maya, asked = Someone("maya"), []
    for name, kind, subscribed in [
        ("lost", rtc.TrackKind.KIND_AUDIO, False),
        ("kept", rtc.TrackKind.KIND_AUDIO, True),
        ("film", rtc.TrackKind.KIND_VIDEO, False),
    ]:
        maya.track_publications[name] = SimpleNamespace(
            source=rtc.TrackSource.SOURCE_MICROPHONE,
            kind=kind,
            subscribed=subscribed,
            set_subscribed=lambda wanted, name=name: asked.append((name, wanted)),
        )
    bench.room.join(maya)
    bench.start()
    bench.room.emit("reconnected")
    assert asked == [("lost", True)]


async def test_nobody_is_heard_twice_when_the_same_event_comes_again(bench: Bench) -> None:
    """One microphone for one stay."""
    maya = Someone("maya")
    bench.room.join(maya)
    bench.start()
    bench.room.join(maya)
    assert len(bench.microphones) == 1


async def test_someone_is_heard_again_when_they_come_back_before_their_last_words_are_recognised(bench: Bench) -> None:
    """Under the same identity and even the same sid, as the SDK announces everyone after it has reconnected itself."""
    bench.start()
    first, second = Someone("maya", sid="PA_1"), Someone("maya", sid="PA_1")
    bench.may_end.clear()
    bench.room.join(first)
    bench.room.leave(first)
    await until(lambda: bench.microphones[0][1].closed)
    bench.room.join(second)
    assert [someone for someone, _ in bench.microphones] == [first, second]
    bench.microphones[1][1].pick_up()
    bench.may_end.set()
    await until(bench.microphones[1][1]._frames.empty)
    assert sorted(await bench.said()) == [("maya", "last word"), ("maya", "last word"), ("maya", "word")]


async def test_the_others_are_heard_when_one_left_in_the_moment_of_joining(bench: Bench) -> None:
    """Their microphone can't be opened; that is their loss alone."""
    bench.unavailable = True
    bench.room.join(Someone("gone"))
    bench.room.join(Someone("maya"))
    bench.start()
    assert [someone.identity for someone, _ in bench.microphones] == ["maya"]


async def test_someone_is_heard_again_when_listening_to_them_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector that breaks gets a successor, for as long as they are in the room."""
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.01)
    bench.room.join(Someone("maya"))
    bench.start()
    bench.fail = True
    bench.microphones[0][1].pick_up()
    await until(lambda: len(bench.microphones) == 2)
    bench.microphones[1][1].pick_up()
    await until(bench.microphones[1][1]._frames.empty)
    assert await bench.said() == [("maya", "word"), ("maya", "last word")]


async def test_a_microphone_is_closed_when_no_ear_could_begin_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt opens another, and nobody reads the frames of the one before."""
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.01)
    bench.room.join(Someone("maya"))
    bench.no_ear = True
    bench.start()
    await until(lambda: len(bench.microphones) >= 3)
    bench.no_ear = False
    assert all(microphone.stopped for _, microphone in bench.microphones[:2])


@pytest.mark.parametrize("name", ["a\0b", "\N{GRINNING FACE}" * 1000, ""])
async def test_someone_is_heard_when_their_name_cannot_be_stored(bench: Bench, name: str) -> None:
    """The name is made storable; the words are what matters."""
    bench.room.join(Someone("maya", name=name))
    bench.start()
    bench.microphones[0][1].pick_up()
    await until(bench.microphones[0][1]._frames.empty)
    assert [identity for identity, _ in await bench.said()] == ["maya", "maya"]


async def test_lines_follow_a_changed_name_when_the_microphone_is_open_already(bench: Bench) -> None:
    """What was said before keeps the name of then. The SDK writes the new one into the same object."""
    maya = Someone("maya", name="Maya")
    bench.room.join(maya)
    bench.start()
    bench.microphones[0][1].pick_up()
    await until(lambda: bench.captions.published)
    maya.name = "Maya Ng"
    assert [line.speaker.name for line in await bench.stored()] == ["Maya", "Maya Ng"]
    assert [caption.speaker.name for caption in bench.captions.published] == ["Maya", "Maya Ng"]


async def test_the_session_ends_when_a_recogniser_does_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after its time; what was recognised is stored, what wasn't is named lost, and the producer closed."""
    monkeypatch.setattr(session_module, "RECOGNISE_SECONDS", 0.05)
    bench.room.join(Someone("maya"))
    bench.start()
    bench.may_end.clear()
    bench.microphones[0][1].pick_up()
    await until(bench.microphones[0][1]._frames.empty)
    assert await bench.said() == [("maya", "word")]
    gap, close = decoded(bench.stream.batches())[-2:]
    assert (gap.kind, gap.first_seq, gap.last_seq) == ("gap", 2, 2)
    assert (close.kind, close.high_water) == ("close", 2)


async def test_nobody_new_is_heard_when_the_session_is_finishing(bench: Bench) -> None:
    """Someone who joins in that moment belongs to the next agent."""
    bench.start()
    assert await bench.said() == []
    bench.room.join(Someone("late"))
    assert bench.microphones == []


async def test_what_was_said_before_is_transcribed_when_this_agent_turns_out_to_be_the_one(bench: Bench) -> None:
    """Microphones are open while agents settle which of them serves; nothing is recognised until then."""
    bench.room.join(Someone("maya"))
    bench.session.start()
    bench.microphones[0][1].pick_up()
    await asyncio.sleep(0)
    assert bench.stream.attempts == []
    bench.session.transcribe(bench.transcription)
    await until(bench.microphones[0][1]._frames.empty)
    assert await bench.said() == [("maya", "word"), ("maya", "last word")]


async def test_nothing_is_transcribed_when_another_agent_serves(bench: Bench) -> None:
    """Not even an `open` reaches the stream: the job was none."""
    bench.room.join(Someone("maya"))
    bench.session.start()
    bench.microphones[0][1].pick_up()
    assert await bench.said() == []
    assert bench.stream.attempts == []


def test_participants_are_told_apart_by_their_objects_when_they_are_keys() -> None:
    """As the fakes here are: the SDK defines no other equality."""
    assert rtc.RemoteParticipant.__hash__ is object.__hash__
    assert rtc.RemoteParticipant.__eq__ is object.__eq__
