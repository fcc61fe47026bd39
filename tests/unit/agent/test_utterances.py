"""The queue between the detector and the recogniser."""

from __future__ import annotations

import asyncio

from livekit import rtc

from meetai_agent.adapters.utterances import MAX_WAITING, Utterance, UtteranceQueue


def said(queue: UtteranceQueue, started_ms: int) -> Utterance:
    """10 ms of speech that has ended."""
    opened = queue.open(started_ms * 16, started_ms=started_ms)
    opened.extend([rtc.AudioFrame.create(16_000, 1, 160)], started_ms * 16 + 160)
    opened.end(now=0.0)
    return opened


async def test_utterances_come_in_order_when_they_wait() -> None:
    """And the end after the last."""
    queue = UtteranceQueue()
    for number in range(3):
        said(queue, number)
    queue.close()
    got = [await queue.get() for _ in range(5)]
    assert [each.started_ms for each in got if each] == [0, 1, 2]
    assert got[3:] == [None, None]


async def test_memory_is_bounded_when_the_recogniser_stands_still() -> None:
    """What finds no room keeps its times and loses its audio, all of it as one; what comes after there is room is whole."""
    queue = UtteranceQueue()
    for number in range(MAX_WAITING + 100):
        said(queue, number * 100)
    assert sum(len(each.audio) for each in queue._waiting) == MAX_WAITING * 320
    assert len(queue._waiting) == MAX_WAITING + 1
    whole = [await queue.get() for _ in range(MAX_WAITING)]
    assert all(each and not each.deaf for each in whole)
    said(queue, 99_000)
    missed, after = await queue.get(), await queue.get()
    assert missed is not None
    assert (missed.deaf, missed.started_ms, missed.ended_ms, bytes(missed.audio)) == (True, 3_200, 13_110, b"")
    assert after is not None
    assert after.audio


async def test_a_waiting_recogniser_is_woken_when_an_utterance_or_the_end_comes() -> None:
    """Nobody polls."""
    queue = UtteranceQueue()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        first = group.create_task(queue.get())
        await asyncio.sleep(0)
        said(queue, 1)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        last = group.create_task(queue.get())
        await asyncio.sleep(0)
        queue.close()
    assert first.result() is not None
    assert last.result() is None


async def test_an_utterance_is_handed_out_when_it_begins_and_grows_meanwhile() -> None:
    """A recogniser of streams hears it while it is spoken."""
    queue = UtteranceQueue()
    spoken = queue.open(0, started_ms=0)
    got = await queue.get()
    assert got is spoken
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        growing = group.create_task(got.grow(0))
        await asyncio.sleep(0)
        spoken.extend([rtc.AudioFrame.create(16_000, 1, 160)], 160)
    assert growing.result()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        growing = group.create_task(got.grow(320))
        await asyncio.sleep(0)
        spoken.end(now=1.0)
    assert not growing.result()


def test_times_are_those_of_the_speech_when_the_audio_begins_before_it() -> None:
    """The detector hands out half a second from before it was sure."""
    heard = Utterance(16_000, started_ms=5_000)
    heard.extend([rtc.AudioFrame.create(16_000, 1, 9_600)], 17_600)
    assert heard.ms_at(heard.unheard_from) == 5_000
    assert heard.ms_at(heard.ends_at) == heard.ended_ms == 5_100
    heard.take_interim("hello there", heard.unheard_from, heard.unheard_from + 1_600, "en")
    heard.end(now=1.0)
    assert not heard.is_heard
    kept = heard.keep_interim()
    assert kept is not None
    assert (kept.text, kept.started_ms, kept.ended_ms) == ("hello there", 5_000, 5_050)
    assert heard.is_heard, "what is left is shorter than a word"
    assert heard.keep_interim() is None
