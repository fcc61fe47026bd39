"""A final on its way: number, spool, buffer, caption, in this order, whatever fails on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from livekit import rtc
from tests.unit.agent.fakes import (
    MemoryDisk,
    MemorySpool,
    MemoryStream,
    RecordingCaptions,
    RecordingFollower,
    RecordingMeter,
    ScriptedEar,
    VirtualClock,
    no_frames,
)
from tests.unit.agent.samples import MAYA, decoded, lines_of, new_producer
from tests.waiting import until

from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.heard import FinalWords, Heard, InterimWords, Spoken, Unrecognised
from meetai_agent.ports import OnVoice
from meetai_agent.usecases import transcribe
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import LiveTranscript, Speaker, TranscriptLine

FIRST = FinalWords("s1", "Good morning.", 1_000, 2_000, "en", 0.9)
SECOND = FinalWords("s2", "And goodbye.", 3_000, 4_000)


class Bench:
    """A transcription over fakes; `order` says what happened in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.producer = new_producer()
        self.disk = MemoryDisk()
        self.spool = OrderedSpool(self.disk, self.producer)
        self.spool.order = self.order
        self.stream = MemoryStream()
        self.captions = OrderedCaptions(self.order)
        self.meter = RecordingMeter()
        buffer = TranscriptBuffer(self.producer, random=lambda: 0.0)
        self.delivery = OrderedDelivery(
            self.producer, buffer, stream=self.stream, kept=self.spool, clock=VirtualClock(), meter=self.meter
        )
        self.delivery.order = self.order
        self.transcription = Transcription(
            self.producer,
            spool=self.spool,
            delivery=self.delivery,
            captions=self.captions,
            clock=VirtualClock(),
            meter=self.meter,
        )

    async def hear(self, *heard: Heard) -> None:
        await self.transcription.listen(lambda: MAYA, ScriptedEar(heard), no_frames())

    def stored(self) -> list[TranscriptLine]:
        return lines_of(decoded(self.stream.batches()))


class OrderedSpool(MemorySpool):
    order: list[str]

    def append(self, line: TranscriptLine) -> int | None:
        self.order.append(f"spool {line.seq}")
        return super().append(line)


class OrderedDelivery(Delivery):
    order: list[str]

    def add(self, line: TranscriptLine, spool_offset: int | None) -> None:
        self.order.append(f"buffer {line.seq}")
        super().add(line, spool_offset)


class OrderedCaptions(RecordingCaptions):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def publish(self, caption: LiveTranscript) -> None:
        self._order.append(f"caption {caption.text}")
        super().publish(caption)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_final_is_spooled_before_anything_else_when_it_arrives(bench: Bench) -> None:
    """So that a process that is killed anywhere after it has lost nothing."""
    await bench.hear(FIRST, SECOND)
    assert bench.order == [
        *("spool 1", "buffer 1", "caption Good morning."),
        *("spool 2", "buffer 2", "caption And goodbye."),
    ]


async def test_the_caption_has_the_lines_id_when_it_is_final(bench: Bench) -> None:
    """Interims share the segment and have none; live and stored are the same text, speaker and times."""
    bench.transcription.open()
    await bench.hear(InterimWords("s1", "Good\0", 1_000), FIRST)
    assert await bench.transcription.close()
    [line] = bench.stored()
    interim, final = bench.captions.published
    assert (interim.final, interim.id, interim.text, interim.segment) == (False, None, "Good\ufffd", final.segment)
    assert (final.final, final.id, final.text) == (True, line.id, line.text)
    assert (final.started_ms, final.ended_ms) == (line.started_ms, line.ended_ms) == (1_000, 2_000)
    assert (line.speaker, line.language, line.confidence) == (MAYA, "en", 0.9)


async def test_a_line_has_the_name_of_its_time_when_its_speaker_has_changed_theirs(bench: Bench) -> None:
    """Interims and their final have the one that the line began with; the next line has the new one."""
    bench.transcription.open()
    names = iter(["Maya in the lobby", "Maya", "Maya Ng"])
    ear = ScriptedEar([InterimWords("s1", "Good", 1_000), InterimWords("s1", "Good mor", 1_000), FIRST, SECOND])
    await bench.transcription.listen(lambda: Speaker("maya", next(names), "human"), ear, no_frames())
    assert await bench.transcription.close()
    assert [line.speaker.name for line in bench.stored()] == ["Maya", "Maya Ng"]
    assert [caption.speaker.name for caption in bench.captions.published] == ["Maya", "Maya", "Maya", "Maya Ng"]


async def test_captions_go_on_when_the_stream_hangs(bench: Bench) -> None:
    """Live never waits for durable."""
    bench.stream.held = asyncio.Event()
    bench.transcription.open()
    async with asyncio.timeout(10):
        await bench.hear(*[FIRST] * 50)
    assert len(bench.captions.published) == 50
    bench.stream.held.set()
    assert await bench.transcription.close()
    assert len(bench.stored()) == 50


async def test_lines_are_stored_when_the_spool_is_away(bench: Bench) -> None:
    """From memory alone, and that is counted."""
    bench.spool.away = True
    bench.transcription.open()
    await bench.hear(FIRST, SECOND)
    assert await bench.transcription.close()
    assert [line.seq for line in bench.stored()] == [1, 2]
    assert bench.meter.counts["spool_failed"] == 2


async def test_long_speech_becomes_several_lines_when_it_is_too_long_for_one(bench: Bench) -> None:
    """With numbers of their own, and one segment; speech without words becomes none."""
    long = FinalWords("s1", "word " * 5_000, 1_000, 900)
    bench.transcription.open()
    await bench.hear(long, FinalWords("s2", " ", 1, 2), SECOND)
    assert await bench.transcription.close()
    stored = bench.stored()
    assert [line.seq for line in stored] == [1, 2, 3]
    assert " ".join(line.text for line in stored[:2]).split() == ["word"] * 5_000
    assert stored[0].ended_ms == 1_000, "never before its start"
    assert [caption.segment for caption in bench.captions.published] == ["s1", "s1", "s2"]


async def test_unrecognised_speech_is_named_when_there_is_no_text(bench: Bench) -> None:
    """It takes a number, and a gap says that nothing is stored under it: not as the first, between lines, nor as the last."""
    bench.transcription.open()
    await bench.hear(Unrecognised(1_000, 2_000), FIRST, Unrecognised(3_000, 4_000), SECOND, Unrecognised(5_000, 6_000))
    assert await bench.transcription.close()
    assert bench.meter.counts["speech_unrecognised"] == 3
    assert [line.seq for line in bench.stored()] == [2, 4]
    batches = decoded(bench.stream.batches())
    assert [(batch.first_seq, batch.last_seq) for batch in batches if batch.kind == "gap"] == [(1, 1), (3, 3), (5, 5)]
    assert (batches[-1].kind, batches[-1].high_water) == ("close", 5)


async def test_a_lost_number_is_named_when_its_job_was_killed(bench: Bench) -> None:
    """The spool remembers it for the worker, also as the last thing that it was told."""
    await bench.hear(FIRST, Unrecognised(3_000, 4_000))
    bench.spool.release()
    [dead] = bench.disk.claim()
    assert (dead.last_seq, [line.seq for line in dead.kept]) == (2, [1])


class BreakingEar:
    """Hears what it was told, then fails, or never ends."""

    def __init__(self, *heard: Heard, hang: bool) -> None:
        self._heard = heard
        self._hang = hang

    async def listen(
        self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
    ) -> AsyncGenerator[Heard, None]:
        for heard in self._heard:
            yield heard
        if self._hang:
            await asyncio.Event().wait()
        raise RuntimeError("the detector broke")


@pytest.mark.parametrize("hang", [False, True], ids=["fails", "takes too long"])
async def test_what_was_shown_is_kept_when_an_ear_is_cut_short(bench: Bench, hang: bool) -> None:
    """Interim words become the final, under their segment. A number is named lost: what else the ear had nobody knows."""
    bench.transcription.open()
    interim = InterimWords("s3", "One more", 3_000, "en", 3_500)

    async def cut_short(*heard: Heard) -> None:
        shown = len(bench.captions.published) + len(heard)
        ear = BreakingEar(*heard, hang=hang)
        listening = asyncio.create_task(bench.transcription.listen(lambda: MAYA, ear, no_frames()))
        await until(lambda: len(bench.captions.published) >= shown)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    await cut_short(FIRST, interim)
    await cut_short(SECOND)
    assert await bench.transcription.close()
    stored = bench.stored()
    assert [(line.seq, line.text) for line in stored] == [(1, FIRST.text), (2, "One more"), (4, SECOND.text)]
    assert (stored[1].started_ms, stored[1].ended_ms, stored[1].confidence) == (3_000, 3_500, None)
    gaps = [batch for batch in decoded(bench.stream.batches()) if batch.kind == "gap"]
    assert [(gap.first_seq, gap.last_seq) for gap in gaps] == [(3, 3), (5, 5)]


async def test_undelivered_lines_stay_in_the_spool_when_closing_takes_too_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends; the worker finds the spool unlocked and complete."""
    monkeypatch.setattr(transcribe, "FINAL_FLUSH_SECONDS", 0.05)
    bench.stream.held = asyncio.Event()
    bench.transcription.open()
    await bench.hear(FIRST, SECOND)
    assert not await bench.transcription.close()
    [dead] = bench.disk.claim()
    assert [line.seq for line in dead.kept] == [1, 2]


async def test_the_microphone_is_closed_when_a_listener_fails(bench: Bench) -> None:
    """A fault in the middle of a sentence leaves no ear and no frames behind."""
    closed: list[str] = []

    class Ear:
        async def listen(
            self, frames: AsyncGenerator[rtc.AudioFrame, None], on_voice: OnVoice
        ) -> AsyncGenerator[Heard, None]:
            try:
                yield FIRST
                yield SECOND
            finally:
                closed.append("ear")

    def full(line: TranscriptLine) -> int | None:
        raise RuntimeError("a fault")

    bench.spool.append = full  # type: ignore[method-assign]  # what can't happen, happens
    with pytest.raises(RuntimeError):
        await bench.transcription.listen(lambda: MAYA, Ear(), no_frames())
    assert closed == ["ear"]


async def test_what_the_agent_says_is_a_line_of_its_own_kind_when_it_was_said(bench: Bench) -> None:
    """Numbered among the others, with the times of its sound, cut where it was interrupted; its interims are captions."""
    agent = Speaker("agent-1", "Minutes", "agent")
    await bench.hear(FIRST)
    bench.transcription.say_interim(agent, InterimWords("s9", "It is", 5_000))
    bench.transcription.say(agent, Spoken("s9", "It is ten", 5_000, 6_000, "en", interrupted=True))
    line = bench.spool.kept[-1]
    assert (line.seq, line.speaker, line.text, line.interrupted) == (2, agent, "It is ten", True)
    assert (line.started_ms, line.ended_ms, line.language) == (5_000, 6_000, "en")
    assert [(each.segment, each.final) for each in bench.captions.published[1:]] == [("s9", False), ("s9", True)]


@pytest.mark.parametrize("failing", [False, True])
async def test_a_follower_is_told_of_lines_and_voices_when_there_is_one(bench: Bench, failing: bool) -> None:
    """After the line is safe; a follower that fails costs nothing. When an ear ends, nobody speaks into it any more."""
    follower = RecordingFollower(failing=failing)
    bench.transcription.follow(follower)
    await bench.hear(FIRST, SECOND)
    assert follower.told == ["maya noticed", "maya speaking", "Good morning.", "And goodbye.", "maya paused"]
    assert bench.order[-1] == "caption And goodbye."
    assert [line.seq for line in bench.spool.kept] == [1, 2]


async def test_two_are_numbered_in_one_row_when_they_talk_at_once(bench: Bench) -> None:
    """Numbers follow the order in which finals arrive, without holes or doubles."""
    bench.transcription.open()
    await asyncio.gather(*(bench.hear(*[FIRST] * 20) for _ in range(10)))
    await until(lambda: len(bench.captions.published) == 200)
    assert await bench.transcription.close()
    assert [line.seq for line in bench.stored()] == list(range(1, 201))
