"""Speech has the wall-clock times that latencies are measured by."""

from __future__ import annotations

import asyncio
import time

import pytest

from meetai_local.demo.microphone import Microphone
from meetai_local.speech import SAMPLE_RATE_HZ, Recording

FIFTH_OF_A_SECOND = Recording(pcm=b"\x10\x10" * (SAMPLE_RATE_HZ // 5))


async def test_recordings_are_said_one_after_the_other() -> None:
    """Two at once become two in a row, each as long as it is but for rounding, and both are over when `say` returns."""
    async with Microphone() as microphone:
        called_ms = time.time() * 1000
        first, second = await asyncio.gather(microphone.say(FIFTH_OF_A_SECOND), microphone.say(FIFTH_OF_A_SECOND))
        assert called_ms <= first.started_ms
        assert first.ended_ms <= second.started_ms + 1
        for spoken in (first, second):
            assert spoken.ended_ms - spoken.started_ms >= 199
        assert second.ended_ms <= time.time() * 1000 + 1


async def test_microphone_closes_when_its_user_fails() -> None:
    """The error comes out as it is, and the microphone's task doesn't outlive it."""
    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        async with Microphone():
            raise KeyError("x")
    assert asyncio.all_tasks() == before


async def test_user_is_told_when_the_microphone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken audio engine ends the waiting at once, with its own error."""

    async def broken(_frame: object) -> None:
        raise OSError("no audio")

    microphone = Microphone()
    monkeypatch.setattr(microphone.source, "capture_frame", broken)
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5), microphone:
            await microphone.say(FIFTH_OF_A_SECOND)
    assert raised.group_contains(OSError)
