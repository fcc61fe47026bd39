"""Who is in a meeting, who has to leave it, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from meetai_token.domain.errors import GoneError, NotLiveError, RoomsUnavailableError
from meetai_token.domain.policy import Caller, Right
from meetai_token.domain.rooms import LiveRoom
from meetai_token.ports import Rooms
from meetai_token.usecases.prepare_room import ROOM_BUDGET_SECONDS

log = structlog.get_logger()


class RuleMeeting:
    """Lets callers see who is in a meeting, remove somebody, and end it, where policy does.

    All methods raise `RefusedError`; `NotLiveError` where there is no such meeting or person; `RoomsUnavailableError`.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def see(self, meeting_id: str, caller: Caller) -> LiveRoom:
        """The meeting as it is now."""
        async with self._asked(meeting_id, caller, "see"):
            room = await self._rooms.look(meeting_id)
        if room is None:
            raise NotLiveError
        return room

    async def remove(self, meeting_id: str, identity: str, caller: Caller) -> None:
        """Make somebody leave; a token of theirs that is still valid lets them in again."""
        async with self._asked(meeting_id, caller, "manage"):
            await self._rooms.remove(meeting_id, identity)
        log.info("participant_removed", meeting_id=meeting_id, identity=identity, caller=caller.name)

    async def end(self, meeting_id: str, caller: Caller) -> None:
        """Make everybody leave, so that `room_finished` follows."""
        async with self._asked(meeting_id, caller, "manage"):
            await self._rooms.end(meeting_id)
        log.info("meeting_ended", meeting_id=meeting_id, caller=caller.name)

    @asynccontextmanager
    async def _asked(self, meeting_id: str, caller: Caller, right: Right) -> AsyncGenerator[None]:
        caller.check_meeting(meeting_id)
        caller.check_right(right)
        try:
            async with asyncio.timeout(ROOM_BUDGET_SECONDS):
                yield
        except GoneError:
            raise NotLiveError from None
        except TimeoutError:
            raise RoomsUnavailableError(f"no answer within {ROOM_BUDGET_SECONDS} s") from None
