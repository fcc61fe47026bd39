"""What happens at the door: the room is made right, then the person gets a token.

Owns the order of the steps and what concurrent callers may not do twice. Must not know HTTP or LiveKit's API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from msgspec import UNSET, Struct

from meetai_contracts.api import Role, TokenRequest
from meetai_token.domain import (
    Caller,
    Dispatch,
    GoneError,
    LiveRoom,
    NotLiveError,
    Right,
    RoomSetup,
    RoomsUnavailableError,
    RoomWish,
    is_on_its_way,
    read_metadata,
    setup_for,
    wanted_metadata,
)
from meetai_token.ports import Grant, Rooms, TokenMint

ROOM_BUDGET_SECONDS: Final = 1.7
"""All calls to LiveKit for one request, so that the caller has an answer within 2 s (issue 6, point 3)."""

Clock = Callable[[], datetime]

log = structlog.get_logger()


class PrepareRoom:
    """Makes a room right, whoever comes first: its metadata, and one agent.

    `create` comes first because it does three things in one call: it makes a room that isn't there, with metadata and
    dispatch; it tells what a live room knows; and it adopts a room whose node has died, on which every other call would
    hang for 3 s (FACTS, LiveKit server).

    Callers with the same wish share one run; callers with different wishes for a room take turns. Another process may still
    dispatch at the same moment: both see both dispatches afterwards, and the younger is withdrawn by whoever made it.
    """

    def __init__(self, rooms: Rooms, *, agent_name: str, now: Clock) -> None:
        self._rooms = rooms
        self._agent_name = agent_name
        self._now = now
        self._runs: dict[RoomWish, asyncio.Task[RoomSetup]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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
        try:
            async with asyncio.timeout(ROOM_BUDGET_SECONDS), turn:
                return await self._prepare(wish)
        except TimeoutError:
            raise RoomsUnavailableError(f"no answer within {ROOM_BUDGET_SECONDS} s") from None

    async def _prepare(self, wish: RoomWish) -> RoomSetup:
        setup = setup_for(wanted_metadata(wish), self._agent_name)
        current = await self._rooms.create(wish.meeting_id, setup)
        if current != setup.metadata:
            known = read_metadata(current)
            wanted = wanted_metadata(wish, known)
            setup = setup_for(wanted, self._agent_name)
            if wanted != known:
                await self._rooms.set_metadata(wish.meeting_id, setup.metadata)
        if setup.agent_name is not None:
            await self._ensure_agent(wish.meeting_id)
        elif wish.agent is None:
            await self._send_agent_away(wish.meeting_id)
        return setup

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


class Admission(Struct, frozen=True):
    """One person may join: with this token, in this role, if they do so in time."""

    token: str
    role: Role
    expires_at: datetime


class AdmitPerson:
    """Gives one person a token for one meeting."""

    def __init__(
        self,
        prepare_room: PrepareRoom,
        mint: TokenMint,
        *,
        ttl_seconds: int,
        now: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self._prepare_room = prepare_room
        self._mint = mint
        self._ttl = timedelta(seconds=ttl_seconds)
        self._now = now
        self._new_id = new_id

    async def __call__(self, meeting_id: str, request: TokenRequest, caller: Caller) -> Admission:
        """Make the room right and mint the token.

        Raises:
            RefusedError: the caller may not ask for this; nothing was done.
            MetadataTooLargeError: the agent's instructions don't fit.
            RoomsUnavailableError: LiveKit is away or too slow.
        """
        role = _permitted(meeting_id, request, caller)
        wish = RoomWish(meeting_id=meeting_id, meeting_name=request.meeting_name, agent=request.agent)
        setup = await self._prepare_room(wish)
        not_before = self._now().replace(microsecond=0)
        grant = Grant(
            meeting_id=meeting_id,
            identity=request.user_id,
            name=request.user_name,
            role=role,
            jti=str(self._new_id()),
            not_before=not_before,
            expires_at=not_before + self._ttl,
            setup=setup,
        )
        token = self._mint.mint(grant)
        log.info(
            "token_minted",
            meeting_id=meeting_id,
            identity=grant.identity,
            role=role,
            jti=grant.jti,
            caller=caller.name,
            expires_at=grant.expires_at.isoformat(),
        )
        return Admission(token=token, role=role, expires_at=grant.expires_at)


def _permitted(meeting_id: str, request: TokenRequest, caller: Caller) -> Role:
    caller.check_meeting(meeting_id)
    caller.check_person(request.user_id, request.user_name)
    if request.meeting_name is not None:
        caller.check_right("shape", "meetingName")
    if request.agent is not UNSET:
        caller.check_right("shape", "agent")
    return caller.role_to_give(request.role)


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
