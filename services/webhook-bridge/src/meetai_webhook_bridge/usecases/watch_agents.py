"""See to it that rooms which want an agent have one, whatever killed the last.

Judged by the participants, never by dispatch records, which don't show a death (FACTS). Must not decide what a room wants:
its metadata says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from meetai_servicekit.dispatches import is_on_its_way
from meetai_webhook_bridge.domain.agents import AgentWatch, is_present, wants_agent
from meetai_webhook_bridge.domain.errors import LiveKitAwayError
from meetai_webhook_bridge.ports import Measures, Rooms
from meetai_webhook_bridge.usecases.reconcile import LiveRoom

ROOMS_AT_ONCE: Final = 8
"""Asked side by side; a call takes 1-5 ms."""

log = structlog.get_logger()


class WatchAgents:
    """One look at all rooms with people; remembers what it did from look to look."""

    def __init__(
        self,
        *,
        rooms: Rooms,
        measures: Measures,
        agent_name: str,
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._rooms = rooms
        self._measures = measures
        self._agent_name = agent_name
        self._now = now
        self._random = random
        self._watches: dict[str, AgentWatch] = {}

    async def look(self, live: Sequence[LiveRoom]) -> None:
        """Restore metadata that was forgotten, and send for agents that are missing. A room that fails waits for the next look."""
        here = {room.listed.sid for room in live}
        self._watches = {sid: watch for sid, watch in self._watches.items() if sid in here}
        limit = asyncio.Semaphore(ROOMS_AT_ONCE)

        async def see_to(room: LiveRoom) -> None:
            async with limit:
                try:
                    await self._see_to(room)
                except LiveKitAwayError as error:
                    log.warning("room_not_seen_to", room_sid=room.listed.sid, reason=str(error))

        async with asyncio.TaskGroup() as group:
            for room in live:
                if room.listed.people:
                    group.create_task(see_to(room), name="see to room")
        absent = [watch for watch in self._watches.values() if watch.present_since is None]
        given_up = sum(watch.is_given_up for watch in absent)
        self._measures.agents_missing(len(absent) - given_up, given_up)

    async def _see_to(self, room: LiveRoom) -> None:
        name, sid, metadata = room.listed.name, room.listed.sid, room.listed.metadata
        if room.forgotten_metadata is not None:
            metadata = room.forgotten_metadata
            await self._rooms.set_metadata(name, metadata)
            self._measures.room_mended("metadata_restored")
            log.warning("metadata_restored", room_sid=sid, metadata_bytes=len(metadata.encode()))
        if not wants_agent(metadata):
            self._watches.pop(sid, None)
            return
        watch, now = self._watches.get(sid, AgentWatch()), self._now()
        if is_present(await self._rooms.agents_joined_at(name), room.announced_at):
            self._watches[sid] = watch.present(now)
            return
        watch = self._watches[sid] = watch.absent()
        if not watch.is_due(now):
            return
        if any(is_on_its_way(each, now) for each in await self._rooms.list_dispatches(name, self._agent_name)):
            return
        dispatch = await self._rooms.dispatch(name, self._agent_name)
        watch = self._watches[sid] = watch.dispatched(now, self._random)
        self._measures.room_mended("agent_dispatched")
        log.warning("agent_dispatched", room_sid=sid, dispatch_id=dispatch.id, dispatches=watch.dispatches)
        if watch.is_given_up:
            log.error("agent_given_up", room_sid=sid, dispatches=watch.dispatches)
