"""Compare the rooms that were heard of with those that LiveKit really has, and tell the ends that it didn't.

Owns the order: what is open is read before LiveKit is asked, so that a room that is made in between is not taken for lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from meetai_webhook_bridge.domain.errors import LiveKitAwayError, NodeSilentError, RejectError, RoomGoneError
from meetai_webhook_bridge.domain.meetings import (
    Judgement,
    MeetingEnd,
    RoomFacts,
    forgotten_metadata,
    hear,
    is_meeting,
    judge_missing,
    judge_silent,
    kept_metadata,
)
from meetai_webhook_bridge.ports import ListedRoom, Measures, RoomRegister, Rooms

PROBES_AT_ONCE: Final = 8
"""Rooms without people whose nodes are asked side by side; a dead node's answer takes 3 s (FACTS)."""

log = structlog.get_logger()


class LiveRoom(Struct, frozen=True):
    """A room that is alive, and what is known of it.

    Attributes:
        forgotten_metadata: What it should have as metadata and has lost; None when nothing is lost.
    """

    listed: ListedRoom
    announced_at: datetime | None
    forgotten_metadata: str | None


class Reconcile:
    """One look at all rooms."""

    def __init__(
        self,
        *,
        register: RoomRegister,
        rooms: Rooms,
        measures: Measures,
        grace: timedelta,
        now: Callable[[], datetime],
        wake_relay: Callable[[], None],
    ) -> None:
        self._register = register
        self._rooms = rooms
        self._measures = measures
        self._grace = grace
        self._now = now
        self._wake_relay = wake_relay

    async def look(self) -> Sequence[LiveRoom]:
        """Compare, and do what follows; returns the rooms that are alive. One that the store refuses doesn't keep it from the others.

        Raises:
            LiveKitAwayError: nothing was judged.
            StoreAwayError: what was not stored is judged anew at the next look.
        """
        known = {room.sid: room for room in await self._register.open_rooms()}
        listed = [room for room in await self._rooms.list_rooms() if is_meeting(room.sid, room.name)]
        now = self._now()
        answering, silent = await self._answering(listed)
        await self._mark_alive(answering, known, now)
        sids = {room.sid for room in listed}
        missing = [room for room in known.values() if room.sid not in sids]
        for room in silent:
            with self._one_room(room.sid):
                await self._see_to_silent(room, now)
        for facts in missing:
            judge = partial(judge_missing, sid=facts.sid, now=now, grace=self._grace)
            with self._one_room(facts.sid):
                self._report(await self._register.revise(facts.name, judge))
        self._measures.rooms_looked_at(len(answering), len(missing) + len(silent))
        return [self._live(room, known) for room in answering]

    async def _answering(self, listed: Sequence[ListedRoom]) -> tuple[list[ListedRoom], list[ListedRoom]]:
        """The rooms whose node answers, and those whose doesn't. A dead node's are listed without people (FACTS)."""
        answering, silent = [room for room in listed if room.people], list[ListedRoom]()
        limit = asyncio.Semaphore(PROBES_AT_ONCE)

        async def probe(room: ListedRoom) -> None:
            async with limit:
                try:
                    await self._rooms.check_answers(room.name)
                except NodeSilentError:
                    silent.append(room)
                except (RoomGoneError, LiveKitAwayError):
                    return  # it ended just now; or nothing is known of it, and nothing is judged
                else:
                    answering.append(room)

        async with asyncio.TaskGroup() as group:
            for room in listed:
                if not room.people:
                    group.create_task(probe(room), name="probe room")
        return answering, silent

    async def _mark_alive(self, rooms: Iterable[ListedRoom], known: dict[str, RoomFacts], now: datetime) -> None:
        """Rooms that are as they were are marked together; one that is new or has other metadata is written by itself."""
        as_before: list[str] = []
        for room in rooms:
            facts, metadata = known.get(room.sid), kept_metadata(room.metadata)
            if facts is not None and metadata in {None, facts.metadata}:
                as_before.append(room.sid)
                continue
            with self._one_room(room.sid):
                await self._hear_of(room, now)
        if as_before:
            await self._register.mark_seen(as_before, now)

    async def _hear_of(self, room: ListedRoom, now: datetime) -> None:
        is_new = False

        def judge(known: Sequence[RoomFacts]) -> Judgement:
            nonlocal is_new
            is_new = all(each.sid != room.sid for each in known)
            return hear(known, _facts(room, now), self._grace)

        await self._register.revise(room.name, judge)
        if is_new:  # also since the open rooms were read
            self._measures.room_mended("announced")
            log.warning("room_unannounced", room_sid=room.sid)

    async def _see_to_silent(self, room: ListedRoom, now: datetime) -> None:
        adopts = False

        def judge(known: Sequence[RoomFacts]) -> Judgement:
            nonlocal adopts
            facts = next((each for each in known if each.sid == room.sid), None) or _facts(room, room.started_at)
            changed, adopts = judge_silent(facts, now, self._grace)
            return Judgement(changed=(changed,))

        await self._register.revise(room.name, judge)
        if adopts:
            await self._rooms.adopt(room.name)
            self._measures.room_mended("adopted")
            log.warning("room_adopted", room_sid=room.sid)

    def _live(self, room: ListedRoom, known: dict[str, RoomFacts]) -> LiveRoom:
        facts = known.get(room.sid)
        of_name = [each for each in known.values() if each.name == room.name]
        forgotten = None if room.metadata else forgotten_metadata(of_name, room.sid, self._grace)
        return LiveRoom(room, facts.announced_at if facts else None, forgotten)

    @contextmanager
    def _one_room(self, sid: str) -> Iterator[None]:
        """What is done for one room; if the store refuses it, the look goes on without it."""
        try:
            yield
        except RejectError as error:
            self._measures.room_refused()
            log.warning("room_refused", room_sid=sid, reason=error.reason)

    def _report(self, end: MeetingEnd | None) -> None:
        if end is None:
            return
        self._measures.room_mended("ended")
        log.warning("room_finished_supplied", room_sid=end.room_sid, reason=end.reason)
        self._wake_relay()


def _facts(room: ListedRoom, seen_at: datetime) -> RoomFacts:
    return RoomFacts(
        sid=room.sid,
        name=room.name,
        started_at=room.started_at,
        seen_at=max(seen_at, room.started_at),
        metadata=kept_metadata(room.metadata),
    )
