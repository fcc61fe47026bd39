"""The queue between the detector and the recogniser."""

from __future__ import annotations

import asyncio

from livekit import rtc

from meetai_agent.adapters.utterances import MAX_WAITING, Utterance, UtteranceQueue


def utterance(started_ms: int) -> Utterance:
    made = Utterance(started_ms * 16, started_ms=started_ms)
    made.extend([rtc.AudioFrame.create(16_000, 1, 160)], made.first_sample + 160)
    made.ended_ms = started_ms + 10
    return made


async def test_utterances_come_in_order_when_they_wait() -> None:
    """And the end after the last."""
    queue = UtteranceQueue()
    for number in range(3):
        queue.put(utterance(number))
    queue.close()
    got = [await queue.get() for _ in range(5)]
    assert [each.started_ms for each in got if each] == [0, 1, 2]
    assert got[3:] == [None, None]


async def test_memory_is_bounded_when_the_recogniser_stands_still() -> None:
    """What finds no room keeps its times and loses its audio, all of it as one; what comes after there is room is whole."""
    queue = UtteranceQueue()
    for number in range(MAX_WAITING + 100):
        queue.put(utterance(number * 100))
    assert sum(len(each.audio) for each in queue._waiting) == MAX_WAITING * 320
    assert len(queue._waiting) == MAX_WAITING + 1
    whole = [await queue.get() for _ in range(MAX_WAITING)]
    assert all(each and each.audio for each in whole)
    queue.put(utterance(99_000))
    missed, after = await queue.get(), await queue.get()
    assert missed is not None
    assert (missed.started_ms, missed.ended_ms, bytes(missed.audio)) == (3_200, 13_110, b"")
    assert after is not None
    assert after.audio


async def test_a_waiting_recogniser_is_woken_when_an_utterance_or_the_end_comes() -> None:
    """Nobody polls."""
    queue = UtteranceQueue()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        first = group.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put(utterance(1))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        last = group.create_task(queue.get())
        await asyncio.sleep(0)
        queue.close()
    assert first.result() is not None
    assert last.result() is None
