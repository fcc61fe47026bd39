"""What the detector is given when frames stay away, and when only the event loop did: on the loop's own time, that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from livekit import rtc
from livekit.agents import vad
from tests.unit.agent.fakes import ScriptedMicrophone, VirtualClock
from tests.waiting import settle

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ
from meetai_agent.adapters.segmenter import SILENCE_SECONDS, Segmenter
from meetai_agent.domain.heard import Voice

FRAME = 160
SILENCE = int(SILENCE_SECONDS * SAMPLE_RATE_HZ)
TURNS_ON_THE_WAY = 5
"""From the SDK's thread to a segmenter a frame goes through so many tasks and queues, each of them a turn of the loop."""


class RecordingDetector:
    """The part of `vad.VADStream` that is pushed to."""

    def __init__(self) -> None:
        self.pushed: list[int] = []
        self._event_ch = SimpleNamespace(closed=False)

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        self.pushed.append(frame.samples_per_channel)

    def end_input(self) -> None:
        """Nobody waits for it."""


class Bench:
    """A segmenter that has got one frame, on a loop whose time stands still; `pushed` is what the detector got since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time()
        monkeypatch.setattr(self._loop, "time", lambda: self._now)
        self._detector = RecordingDetector()
        self._microphone = ScriptedMicrophone()
        segmenter = Segmenter(cast("vad.VADStream", self._detector), _unnoticed, clock=VirtualClock())
        self._pushing = asyncio.create_task(segmenter.push(self._microphone.frames()))

    @property
    def pushed(self) -> list[int]:
        return self._detector.pushed[1:]

    async def pick_up(self, frames: int) -> None:
        for _ in range(frames):
            self._arrive(TURNS_ON_THE_WAY)
        await settle()

    async def go_on(self, seconds: float) -> None:
        self.stand_still(seconds)
        await settle()

    def stand_still(self, seconds: float) -> None:
        self._now += seconds

    async def finish(self) -> None:
        self._microphone.stop()
        await self._pushing

    def _arrive(self, turns: int) -> None:
        if turns > 0:
            self._loop.call_soon(self._arrive, turns - 1)
        else:
            self._microphone.pick_up()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(monkeypatch)
    await bench.pick_up(1)
    yield bench
    await bench.finish()


@pytest.mark.parametrize("seconds", [1.01, 1.2, 20.0])
async def test_no_silence_comes_into_speech_when_the_loop_stood_still(bench: Bench, seconds: float) -> None:
    """Frames came all the while, and are on their way: their speaker isn't cut off in the middle of a word."""
    await bench.go_on(0.05)
    bench.stand_still(seconds)
    await bench.pick_up(20)
    await bench.go_on(0.05)
    await bench.pick_up(1)
    assert bench.pushed == [FRAME] * 21


@pytest.mark.parametrize("seconds", [0.05, 3.0], ids=["a loop in time", "a loop that is always late"])
async def test_silence_comes_once_when_frames_stay_away(bench: Bench, seconds: float) -> None:
    """So that what was said before is over; frames that come again are taken up."""
    for _ in range(40):
        await bench.go_on(seconds)
    assert bench.pushed == [SILENCE]
    await bench.pick_up(1)
    assert bench.pushed == [SILENCE, FRAME]


async def test_no_silence_comes_when_frames_stay_away_for_less(bench: Bench) -> None:
    """Each frame begins the wait anew."""
    for _ in range(4):
        for _ in range(9):
            await bench.go_on(0.1)
        await bench.pick_up(1)
    assert bench.pushed == [FRAME] * 4


def _unnoticed(_voice: Voice) -> None:
    """Nobody asks who speaks."""
