"""Following, over a store in memory: who is woken, who shares a read, when it ends; and the stream's HTTP face."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transcript_ingest.producing import Producer
from tests.unit.transcript_ingest.serving import FakeReadingObserver, WatchedStore, asking
from tests.waiting import until

from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.errors import ErasedError, TooManyFollowersError
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.tail import EVERYONE, MAX_WAKE_BYTES, PlacedLine, wake_for, wake_key, woken_by
from meetai_transcript_ingest.http.streaming import PiecewiseResponse
from meetai_transcript_ingest.usecases.follow import FOLLOW_PAGE_LINES, OVER, FollowTranscript, Heard, Over


class Followed:
    """A store, and those who follow its meetings."""

    def __init__(self, **options: Any) -> None:
        self.store = WatchedStore()
        self.observer = FakeReadingObserver()
        self.now = 0.0
        self.follow = FollowTranscript(
            self.store,
            self.observer,
            **{"max_clients": 500, "monotonic": lambda: self.now, "quiet_seconds": 60, **options},
        )

    async def say(self, producer: Producer, lines: int) -> None:
        await self.tell(producer.say(lines))

    async def tell(self, entry: bytes) -> None:
        parcels = unpack(Arrival("stream", "1-1", {b"b": entry})).parcels
        await self.store.commit(parcels, ())
        self.follow.wake(wake_for([parcel.declaration.meeting_id for parcel in parcels]))


async def collect(following: AsyncIterator[Heard], seen: list[int]) -> None:
    async for heard in following:
        assert not isinstance(heard, Over)
        seen.extend(placed.position for placed in heard)


async def _lines(following: AsyncIterator[Heard]) -> tuple[PlacedLine, ...]:
    heard = await next_but_life(following)
    assert not isinstance(heard, Over)
    return heard


async def next_but_life(following: AsyncIterator[Heard]) -> Heard:
    """What comes next, but for signs of life."""
    async with asyncio.timeout(30):
        while (heard := await anext(following)) == ():
            pass
    return heard


async def test_everybody_gets_every_line_once_when_many_follow_one_meeting() -> None:
    """They share the reads: the store is asked a few times a wake-up, not once a client."""
    followed, producer = Followed(), Producer()
    seen: list[list[int]] = [[] for _ in range(100)]
    followers = [asyncio.create_task(collect(await followed.follow("standup", 0), each)) for each in seen]
    await until(lambda: followed.observer.clients == 100)
    followed.store.asked = 0
    for total in range(3, 31, 3):
        await followed.say(producer, 3)
        await until(lambda wanted=total: all(len(each) == wanted for each in seen))  # type: ignore[misc]  # mypy and defaults
    assert all(each == list(range(1, 31)) for each in seen)
    assert followed.store.asked < 10 * 6
    await followed.follow.close()
    await asyncio.gather(*followers)
    assert followed.observer.clients == 0


async def test_everybody_is_told_when_the_meeting_is_erased() -> None:
    """Also who connects after that; nobody is counted any more."""
    followed, producer = Followed(), Producer()
    await followed.say(producer, 3)
    following = await followed.follow("standup", 0)
    assert len(await _lines(following)) == 3
    followed.store.is_erased = True
    followed.follow.wake(EVERYONE)
    with pytest.raises(ErasedError):
        await anext(following)
    with pytest.raises(ErasedError):
        await followed.follow("standup", 0)
    assert followed.observer.clients == 0


async def test_long_transcript_comes_in_pages_when_followed_from_the_start() -> None:
    """A client never holds more than a page."""
    followed, producer = Followed(), Producer()
    await followed.say(producer, FOLLOW_PAGE_LINES * 2 + 7)
    following = await followed.follow("standup", 5)
    sizes = [len(await _lines(following)) for _ in range(3)]
    assert sizes == [FOLLOW_PAGE_LINES, FOLLOW_PAGE_LINES, 2]
    await following.aclose()


async def test_follower_shows_life_when_nothing_is_said() -> None:
    """Empty sets, and the store is looked at each time, should a wake-up have been lost."""
    followed, producer = Followed(heartbeat_seconds=0.01), Producer()
    following = await followed.follow("standup", 0)
    assert [await anext(following) for _ in range(3)] == [(), (), ()]
    await followed.store.commit(unpack(Arrival("stream", "1-1", {b"b": producer.say(1)})).parcels, ())
    heard = await next_but_life(following)
    assert not isinstance(heard, Over)
    assert [placed.position for placed in heard] == [1]
    await following.aclose()


async def test_follower_is_told_when_the_meeting_is_over() -> None:
    """After the last line, once; again when the meeting has gone on and ended anew, and to whoever comes later."""
    followed, producer, other = Followed(heartbeat_seconds=0.01, quiet_seconds=0), Producer(), Producer()
    await followed.say(producer, 3)
    following = await followed.follow("standup", 0)
    assert len(await _lines(following)) == 3
    assert [await anext(following) for _ in range(3)] == [(), (), ()]
    await followed.tell(producer.close())
    assert await next_but_life(following) is OVER
    assert [await anext(following) for _ in range(3)] == [(), (), ()]
    await followed.say(other, 2)
    assert len(await _lines(following)) == 2
    assert [await anext(following) for _ in range(3)] == [(), (), ()]
    await followed.tell(other.close())
    assert await next_but_life(following) is OVER
    late = await followed.follow("standup", 3)
    assert len(await _lines(late)) == 2
    assert await next_but_life(late) is OVER
    await following.aclose()
    await late.aclose()


async def test_follower_is_told_nothing_when_another_agent_may_still_come() -> None:
    """An agent that was killed is closed by who finds its spool; until it has been quiet for long enough the meeting may go on."""
    followed, producer = Followed(heartbeat_seconds=0.01), Producer()
    await followed.say(producer, 1)
    await followed.tell(producer.close())
    following = await followed.follow("standup", 0)
    assert len(await _lines(following)) == 1
    assert [await anext(following) for _ in range(3)] == [(), (), ()]
    await following.aclose()


async def test_follower_ends_when_it_has_followed_for_long() -> None:
    """It connects again, and is asked again who it is."""
    followed = Followed(heartbeat_seconds=0.01, longest_seconds=60)
    following = await followed.follow("standup", 0)
    assert await anext(following) == ()
    followed.now = 61
    with pytest.raises(StopAsyncIteration):
        await anext(following)


async def test_follower_waits_when_the_store_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on where it was when it is back."""
    monkeypatch.setattr("meetai_transcript_ingest.usecases.follow.RETRY_SECONDS", 0.01)
    followed, producer = Followed(heartbeat_seconds=0.01), Producer()
    seen: list[int] = []
    following = asyncio.create_task(collect(await followed.follow("standup", 0), seen))
    await followed.say(producer, 2)
    await until(lambda: len(seen) == 2)
    followed.store.away = True
    followed.follow.wake(EVERYONE)
    asked = followed.store.asked
    await until(lambda: followed.store.asked > asked + 2)
    followed.store.away = False
    await followed.say(producer, 2)
    await until(lambda: len(seen) == 4)
    await followed.follow.close()
    await following
    assert seen == [1, 2, 3, 4]


async def test_follower_is_turned_away_when_there_are_too_many() -> None:
    """There is room again when one has gone, and none at all once the process is to end."""
    followed = Followed(max_clients=1, heartbeat_seconds=0.01)
    first = await followed.follow("standup", 0)
    await anext(first)
    with pytest.raises(TooManyFollowersError):
        await followed.follow("retro", 0)
    await first.aclose()
    second = await followed.follow("retro", 0)
    await anext(second)
    await followed.follow.close()
    with pytest.raises(StopAsyncIteration):
        await anext(second)
    with pytest.raises(TooManyFollowersError):
        await followed.follow("retro", 0)


@given(st.lists(st.text(min_size=1), max_size=1500))
def test_wake_up_names_every_meeting_when_they_are_few_enough(meeting_ids: list[str]) -> None:
    """It fits a notification, and whoever it is for finds themself in it."""
    payload = wake_for(meeting_ids)
    assert len(payload.encode()) <= MAX_WAKE_BYTES
    keys = woken_by(payload)
    assert keys is None or {wake_key(meeting_id) for meeting_id in meeting_ids} <= keys


@pytest.mark.parametrize("given_id", ["x", "-1", "1.5", "٣", "1e3", str(2**63), "9" * 20, " 1", "0x1"])
@pytest.mark.parametrize("by_header", [True, False])
async def test_stream_is_refused_when_the_last_id_is_none_of_its(given_id: str, by_header: bool) -> None:
    """The field is named; nothing is streamed from a place that was guessed."""
    async with asking(WatchedStore()) as client:
        headers = {b"Last-Event-ID": given_id.encode()} if by_header else {}
        params = {} if by_header else {"last_event_id": given_id}
        response = await client.get("/v1/meetings/standup/stream", headers=headers, params=params)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == ("Last-Event-ID" if by_header else "last_event_id")


async def test_stream_is_refused_when_the_last_id_is_ahead() -> None:
    """The store was set back, or the id is another meeting's: waiting for that position would skip lines."""
    async with asking(WatchedStore()) as client:
        response = await client.get("/v1/meetings/standup/stream", headers={"Last-Event-ID": "7"})
        assert response.status_code == 400
        assert "ahead" in response.json()["errors"][0]["message"]


async def _pieces(closed: list[bool]) -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"piece"
    finally:
        closed.append(True)


@pytest.mark.parametrize("cause", ["timeout", "ending", "gone"])
async def test_client_is_cut_off_when_it_takes_nothing(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that it is given; soon, when the process is to end; at once, when it has gone. The pieces are closed."""
    monkeypatch.setattr("meetai_transcript_ingest.http.streaming.ENDING_SECONDS", 0.01)
    closed: list[bool] = []
    ending, gone = asyncio.Event(), asyncio.Event()
    response = PiecewiseResponse(
        _pieces(closed),  # type: ignore[arg-type]  # an async generator, annotated as the iterator that it is
        media_type="text/plain",
        headers={},
        timeout_seconds=0.01 if cause == "timeout" else 30,
        ending=ending,
    )

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            {"ending": ending, "gone": gone}.get(cause, asyncio.Event()).set()
            await asyncio.Event().wait()

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    asgi: Any = response.to_asgi_response(None, None)  # type: ignore[arg-type]  # neither is looked at
    async with asyncio.timeout(5):
        if cause == "timeout":
            with pytest.raises(TimeoutError):
                await asgi({}, receive, send)
        else:
            await asgi({}, receive, send)
    assert closed == [True]
