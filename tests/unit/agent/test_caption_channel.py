"""One channel of captions: in order, bounded, and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.agent.fakes import RecordingMeter
from tests.waiting import until

from meetai_agent.adapters import livekit_captions
from meetai_agent.adapters.livekit_captions import MAX_WAITING, CaptionChannel
from meetai_contracts.transcript import CaptionSpeaker, LiveTranscript

MAYA = CaptionSpeaker(identity="maya", name="Maya", kind="human")


def caption(number: int, *, final: bool = True) -> LiveTranscript:
    return LiveTranscript(1, segment=f"s{number}", final=final, speaker=MAYA, text=f"{number}", started_ms=number)


class Bench:
    def __init__(self) -> None:
        self.sent: list[int] = []
        self.meter = RecordingMeter()
        self.may_send = asyncio.Event()
        self.failing = False
        self.channel = CaptionChannel("test", self._send, meter=self.meter)

    async def _send(self, sent: LiveTranscript) -> None:
        await self.may_send.wait()
        if self.failing:
            raise ConnectionError
        self.sent.append(sent.started_ms)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.channel.aclose()


async def test_the_oldest_interims_go_first_when_the_room_takes_nothing(bench: Bench) -> None:
    """What is final is kept as long as there is anything else to drop; then the oldest of it goes."""
    for number in range(MAX_WAITING):
        bench.channel.publish(caption(number, final=number >= 2))
    for number in range(MAX_WAITING, MAX_WAITING + 3):
        bench.channel.publish(caption(number))
    assert bench.meter.counts["caption_dropped"] == 3
    bench.may_send.set()
    await until(lambda: len(bench.sent) == MAX_WAITING)
    assert bench.sent == list(range(3, MAX_WAITING + 3))


async def test_the_next_is_sent_when_one_takes_too_long_or_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up and counted."""
    monkeypatch.setattr(livekit_captions, "SEND_SECONDS", 0.02)
    bench.channel.publish(caption(1))
    await until(lambda: bench.meter.counts["caption_dropped"] == 1)
    bench.may_send.set()
    bench.failing = True
    bench.channel.publish(caption(2))
    await until(lambda: bench.meter.counts["caption_dropped"] == 2)
    bench.failing = False
    bench.channel.publish(caption(3))
    await until(lambda: bench.sent == [3])


async def test_how_long_a_final_waited_for_the_room_is_measured(bench: Bench) -> None:
    """From the queue to the room, by the channel's name; an interim isn't, and a final that was dropped counts as the longest."""
    bench.channel.publish(caption(1, final=False))
    bench.channel.publish(caption(2))
    await asyncio.sleep(0)
    assert not bench.meter.waits
    bench.may_send.set()
    await until(lambda: bench.sent == [1, 2])
    await until(lambda: len(bench.meter.waits["test"]) == 1)
    assert 0 < bench.meter.waits["test"][0] < livekit_captions.SEND_SECONDS
    bench.failing = True
    bench.channel.publish(caption(3))
    await until(lambda: bench.meter.counts["caption_dropped"] == 1)
    assert bench.meter.waits["test"][1:] == [livekit_captions.SEND_SECONDS]
