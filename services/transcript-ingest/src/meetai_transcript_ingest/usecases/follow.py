"""Following a meeting: its lines as they are committed, from any place on, each once.

Nothing is queued for anybody: who follows reads the store by position whenever there may be something new. So a slow client costs
no more than the lines that it is being sent, and a wake-up may come too often, or late, without harm. Those who have come to the
same place share one read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import structlog
from msgspec import Struct

from meetai_servicekit.patience import Patience
from meetai_transcript_ingest.domain.errors import (
    AheadOfTranscriptError,
    ErasedError,
    IngestError,
    TooManyFollowersError,
    TryLaterError,
)
from meetai_transcript_ingest.domain.tail import PlacedLine, wake_key, woken_by
from meetai_transcript_ingest.ports import Archive, ReadingObserver, Wakeups

FOLLOW_PAGE_LINES: Final = 50
"""What a client is being sent is in memory: about 10 KB of usual lines, 0.8 MB of the longest that there can be."""
HEARTBEAT_SECONDS: Final = 15.0
"""Proxies usually drop what is silent for 60 s (nginx's proxy_read_timeout); HTML, "Server-sent events", suggests 15."""
RETRY_SECONDS: Final = 2.0
"""Until a store that was away is asked again, unless the listener is back before that and wakes everybody."""
MAX_FOLLOW_SECONDS: Final = 3_600.0
"""A client then connects again, which costs nothing: whether it may still read is asked anew, and replicas share the load anew."""

log = structlog.get_logger()


class Over(Struct, frozen=True):
    """There are no more lines and the meeting is over: all its producers have closed, and no other has come for a while."""


OVER: Final = Over()
Heard = tuple[PlacedLine, ...] | Over
Read = asyncio.Task[Heard]


async def keep_listening(wakeups: Wakeups, *, patience: Patience) -> None:
    """Have a connection that is listening, until cancelled."""
    while True:
        await patience.insist("listen", wakeups.listen)


class _Meeting:
    """One meeting that somebody follows.

    Attributes:
        wakes: How often it was woken; a read that began at the same number knows all that was committed before the wake-up.
        reads: Under way, by the position that they go on from and the number of wake-ups at their start.
    """

    def __init__(self) -> None:
        self.wakes = 0
        self.events: set[asyncio.Event] = set()
        self.reads: dict[tuple[int, int], Read] = {}

    def wake(self) -> None:
        self.wakes += 1
        for event in self.events:
            event.set()


class FollowTranscript:
    """All who follow a meeting through this process.

    Args:
        archive: The store.
        observer: Is told how many there are.
        max_clients: No more at once.
        monotonic: Seconds, for how long somebody has followed.
        quiet_seconds: For so long must all producers have been closed, as for `CompleteRooms`.
        heartbeat_seconds: Between signs of life.
        longest_seconds: For so long may one follow at a stretch.
    """

    def __init__(
        self,
        archive: Archive,
        observer: ReadingObserver,
        *,
        max_clients: int,
        monotonic: Callable[[], float],
        quiet_seconds: float,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        longest_seconds: float = MAX_FOLLOW_SECONDS,
    ) -> None:
        self._archive = archive
        self._observer = observer
        self._max_clients = max_clients
        self._monotonic = monotonic
        self._quiet_seconds = quiet_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._longest_seconds = longest_seconds
        self._meetings: dict[str, _Meeting] = {}
        self._clients = 0
        self.closing = asyncio.Event()

    def wake(self, payload: str) -> None:
        """Lines of these meetings may have been committed; see `domain.tail`."""
        keys = woken_by(payload)
        for meeting_id, meeting in self._meetings.items():
            if keys is None or wake_key(meeting_id) in keys:
                meeting.wake()

    async def close(self) -> None:
        """Let everybody end where they are; they go on elsewhere from the last line that they were sent."""
        self.closing.set()
        for meeting in self._meetings.values():
            meeting.wake()

    async def __call__(self, meeting_id: str, position: int) -> AsyncGenerator[Heard]:
        """Sets of lines from that position on; an empty set every now and then, as a sign of life.

        `OVER` comes once all lines have and the meeting is over, and again if it goes on after that and ends again.

        Raises:
            TryLaterError: the store is away now. Once it has answered, followers wait for it instead.
            TooManyFollowersError: there is no room for another.
            AheadOfTranscriptError: the meeting has not come to that position.
            ErasedError: the meeting was erased; also out of the generator, to those who follow it then.
        """
        if position > 0 and position > (await self._archive.version(meeting_id)).position:
            raise AheadOfTranscriptError(position)
        first = await self._archive.lines_since(meeting_id, position, FOLLOW_PAGE_LINES)
        if self.closing.is_set() or self._clients >= self._max_clients:
            raise TooManyFollowersError(self._clients)
        return self._follow(meeting_id, position, first)

    async def _follow(self, meeting_id: str, position: int, heard: Heard) -> AsyncGenerator[Heard]:
        meeting = self._meetings.setdefault(meeting_id, _Meeting())
        woken = asyncio.Event()
        woken.set()  # what was committed between the first read and now
        meeting.events.add(woken)
        self._count(1)
        until = self._monotonic() + self._longest_seconds
        told_over = False
        try:
            while not self.closing.is_set() and self._monotonic() < until:
                if isinstance(heard, Over) and not told_over:
                    told_over = True
                    yield OVER
                elif heard and not isinstance(heard, Over):
                    position = heard[-1].position
                    told_over = False
                    yield heard
                elif not await _within(woken, self._heartbeat_seconds):
                    yield ()
                woken.clear()
                heard = await self._read(meeting_id, meeting, position)
        except ErasedError:
            raise
        except IngestError as error:  # whoever connects again is told
            log.warning("following_ended", cause=type(error).__name__)
        finally:
            self._count(-1)
            meeting.events.discard(woken)
            if not meeting.events and self._meetings.get(meeting_id) is meeting:
                del self._meetings[meeting_id]

    async def _read(self, meeting_id: str, meeting: _Meeting, position: int) -> Heard:
        """What comes after a position, as of the latest wake-up or later; nothing, after a pause, if the store is away."""
        key = (position, meeting.wakes)
        read = meeting.reads.get(key)
        if read is None:
            read = meeting.reads[key] = asyncio.create_task(self._look(meeting_id, position), name="follow")
            read.add_done_callback(lambda done: _forget(meeting, key, done))
        try:
            return await asyncio.shield(read)
        except TryLaterError as error:
            log.warning("work_postponed", what="follow", cause=str(error))
            await _within(self.closing, RETRY_SECONDS)
            return ()

    async def _look(self, meeting_id: str, position: int) -> Heard:
        lines = await self._archive.lines_since(meeting_id, position, FOLLOW_PAGE_LINES)
        if lines:
            return lines
        seconds = await self._archive.over_for_seconds(meeting_id)
        return OVER if seconds is not None and seconds >= self._quiet_seconds else ()

    def _count(self, change: int) -> None:
        self._clients += change
        self._observer.following(self._clients)


def _forget(meeting: _Meeting, key: tuple[int, int], read: Read) -> None:
    meeting.reads.pop(key, None)
    if not read.cancelled():
        read.exception()  # all who waited for it may have gone


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event comes in time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
