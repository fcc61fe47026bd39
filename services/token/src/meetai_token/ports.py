"""What the use cases need from the world outside. Protocols only."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from meetai_contracts.api import Role
from meetai_servicekit.dispatches import Dispatch
from meetai_token.domain.limits import Quota
from meetai_token.domain.policy import Caller
from meetai_token.domain.rooms import LiveRoom, RoomSetup


class Rooms(Protocol):
    """The rooms of a LiveKit server. Every method raises `RoomsUnavailableError` when it doesn't answer in time."""

    async def create(self, meeting_id: str, setup: RoomSetup) -> str:
        """Make the room unless it is live; returns the metadata it has. A live room is left as it is."""

    async def set_metadata(self, meeting_id: str, metadata: str) -> None:
        """Change a live room's metadata."""

    async def has_agent(self, meeting_id: str) -> bool:
        """Whether an agent is among the participants."""

    async def list_dispatches(self, meeting_id: str, agent_name: str) -> list[Dispatch]:
        """All dispatches of this agent to a live room, also those that never came to anything."""

    async def dispatch(self, meeting_id: str, agent_name: str) -> Dispatch:
        """Ask for an agent."""

    async def withdraw(self, meeting_id: str, dispatch: Dispatch) -> None:
        """Take a dispatch back; its agent leaves. No error if it is gone already."""

    async def look(self, meeting_id: str) -> LiveRoom | None:
        """Who is in the room, those who came first first; None if there is no such room."""

    async def remove(self, meeting_id: str, identity: str) -> None:
        """Make somebody leave. Raises `GoneError` if they aren't there."""

    async def end(self, meeting_id: str) -> None:
        """Make everybody leave, and the room with them. Raises `GoneError` if there is no such room."""


class Grant(Struct, frozen=True):
    """One person's permission to join one room.

    Attributes:
        jti: The token's id; the audit log names it.
        not_before, expires_at: Whole seconds, UTC.
        setup: What the room is made with, should this person be the first to join.
    """

    meeting_id: str
    identity: str
    name: str
    role: Role
    jti: str
    not_before: datetime
    expires_at: datetime
    setup: RoomSetup


class TokenMint(Protocol):
    """Turns permissions into tokens."""

    def mint(self, grant: Grant) -> str:
        """Sign a token that says exactly this, with the grants of the role."""


class People(Protocol):
    """People by the tokens that an identity provider gives them."""

    async def caller_of(self, token: str) -> Caller | None:
        """Whose token this is; None for one that isn't good.

        Raises:
            RefusedError: a good token that gives nothing here.
            CallersUnavailableError: it can't be told now.
        """


class Limits(Protocol):
    """Counts requests."""

    async def take(self, quota: Quota, subject: str) -> float | None:
        """Count one request; None if it is within the quota, else seconds until one would be, and it isn't counted."""
