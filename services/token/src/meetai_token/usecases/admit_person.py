"""One person gets a token for one meeting, if policy lets the caller give it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec import UNSET, Struct

from meetai_contracts.api import AgentRequest, Role, TokenRequest
from meetai_token.domain.policy import Caller
from meetai_token.domain.rooms import RoomWish
from meetai_token.ports import Grant, TokenMint
from meetai_token.usecases.prepare_room import PrepareRoom

log = structlog.get_logger()


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
        now: Callable[[], datetime],
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
        agent = request.agent.as_data() if isinstance(request.agent, AgentRequest) else request.agent
        wish = RoomWish(meeting_id=meeting_id, meeting_name=request.meeting_name, agent=agent)
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
