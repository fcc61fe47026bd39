"""A room is made right, whoever comes first and whoever else is at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

import structlog

from meetai_contracts.room import RoomMetadata
from meetai_servicekit.dispatches import Dispatch, is_on_its_way
from meetai_token.domain.errors import RoomsUnavailableError
from meetai_token.domain.rooms import RoomSetup, RoomWish, read_metadata, setup_for, wanted_metadata
from meetai_token.ports import Rooms

ROOM_BUDGET_SECONDS: Final = 1.7
"""All calls to LiveKit for one request, so that the caller has an answer within 2 s (issue 6, point 3)."""

AGENT_BUDGET_SECONDS: Final = 1.6
"""By then the agent must have been seen to: who only needs a token still gets one in time when it couldn't be."""

REMEMBERED_SECONDS: Final = 600
"""How long what a room was told is remembered here: while LiveKit can't be asked it counts as right, a token whose room has gone
since makes it again as it was, and a room that a restarted SFU forgot is told again."""
REMEMBERED_ROOMS: Final = 1_000
"""16 KiB each at most."""

log = structlog.get_logger()


class PrepareRoom:
    """Makes a room right, whoever comes first: its metadata, and one agent.

    `create` comes first because it does three things in one call: it makes a room that isn't there, with metadata and
    dispatch; it tells what a live room knows; and it adopts a room whose node has died, on which every other call would
    hang for 3 s (FACTS, LiveKit server).

    Callers with the same wish share one run; callers with different wishes for a room take turns. Another process may still
    dispatch at the same moment: both see both dispatches afterwards, and the younger is withdrawn by whoever made it.

    A live room that knows nothing has been forgotten by a restarted SFU. It's told again what it knew a while ago; where that isn't
    known here, who has no wish leaves it to the watcher (webhook-bridge), who may know: defaults would be taken for a wish.

    While LiveKit can't be asked, a wish that was fulfilled a while ago counts as fulfilled; and who has no wish, of a room
    that is live, needn't wait for its agent.
    """

    def __init__(self, rooms: Rooms, *, agent_name: str, now: Callable[[], datetime]) -> None:
        self._rooms = rooms
        self._agent_name = agent_name
        self._now = now
        self._runs: dict[RoomWish, asyncio.Task[RoomSetup]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._remembered: dict[str, tuple[datetime, RoomSetup]] = {}

    async def __call__(self, wish: RoomWish) -> RoomSetup:
        """Make the room right; returns what it now knows.

        Raises:
            MetadataTooLargeError: the wish doesn't fit a room's metadata.
            RoomsUnavailableError: LiveKit is away or too slow.
        """
        run = self._runs.get(wish)
        if run is None:
            run = asyncio.create_task(self._within_budget(wish), name="prepare_room")
            self._runs[wish] = run
            run.add_done_callback(lambda _: self._runs.pop(wish))
        return await asyncio.shield(run)  # a caller that goes away takes nobody else's room with it

    async def _within_budget(self, wish: RoomWish) -> RoomSetup:
        turn = self._turns.setdefault(wish.meeting_id, asyncio.Lock())
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(started + ROOM_BUDGET_SECONDS), turn:
                setup = await self._make_known(wish)
                await self._see_to_agent(wish, setup, by=started + AGENT_BUDGET_SECONDS)
        except (RoomsUnavailableError, TimeoutError):
            return self._recall(wish)
        return setup

    async def _make_known(self, wish: RoomWish) -> RoomSetup:
        setup = setup_for(wanted_metadata(wish), self._agent_name)
        current = await self._rooms.create(wish.meeting_id, setup)
        if current == setup.metadata:
            return setup
        known = read_metadata(current)
        if not current:
            known = self._last_known(wish.meeting_id)
            if known is None and wish.is_none:
                log.warning("room_left_untold", meeting_id=wish.meeting_id)
                return RoomSetup(metadata="", agent_name=self._agent_name)
        wanted = wanted_metadata(wish, known)
        setup = setup_for(wanted, self._agent_name)
        if wanted != known or not current:
            await self._rooms.set_metadata(wish.meeting_id, setup.metadata)
        return setup

    async def _see_to_agent(self, wish: RoomWish, setup: RoomSetup, *, by: float) -> None:
        try:
            async with asyncio.timeout_at(by):
                if setup.agent_name is not None:
                    await self._ensure_agent(wish.meeting_id)
                elif wish.agent is None:
                    await self._send_agent_away(wish.meeting_id)
        except (RoomsUnavailableError, TimeoutError):
            if wish.is_none:
                log.warning("agent_not_checked", meeting_id=wish.meeting_id)
                return
            raise
        if not setup.metadata:
            return
        self._remembered.pop(wish.meeting_id, None)
        self._remembered[wish.meeting_id] = (self._now(), setup)
        if len(self._remembered) > REMEMBERED_ROOMS:
            del self._remembered[next(iter(self._remembered))]

    def _recall(self, wish: RoomWish) -> RoomSetup:
        known = self._last_known(wish.meeting_id)
        if known is not None and wanted_metadata(wish, known) == known:
            log.warning("room_not_checked", meeting_id=wish.meeting_id)
            return setup_for(known, self._agent_name)
        raise RoomsUnavailableError(f"LiveKit could not be asked within {ROOM_BUDGET_SECONDS} s")

    def _last_known(self, meeting_id: str) -> RoomMetadata | None:
        at, setup = self._remembered.get(meeting_id, (None, None))
        if at is None or setup is None or (self._now() - at).total_seconds() >= REMEMBERED_SECONDS:
            return None
        return read_metadata(setup.metadata)

    async def _ensure_agent(self, meeting_id: str) -> None:
        if await self._rooms.has_agent(meeting_id):
            return
        if await self._on_their_way(meeting_id):
            return
        mine = await self._rooms.dispatch(meeting_id, self._agent_name)
        if min(await self._on_their_way(meeting_id), default=mine) < mine:
            await self._rooms.withdraw(meeting_id, mine)
            return
        log.info("agent_dispatched", meeting_id=meeting_id, dispatch_id=mine.id)

    async def _on_their_way(self, meeting_id: str) -> list[Dispatch]:
        dispatches = await self._rooms.list_dispatches(meeting_id, self._agent_name)
        return [dispatch for dispatch in dispatches if is_on_its_way(dispatch, self._now())]

    async def _send_agent_away(self, meeting_id: str) -> None:
        for dispatch in await self._rooms.list_dispatches(meeting_id, self._agent_name):
            await self._rooms.withdraw(meeting_id, dispatch)
            log.info("agent_sent_away", meeting_id=meeting_id, dispatch_id=dispatch.id)
