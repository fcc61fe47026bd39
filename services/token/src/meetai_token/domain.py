"""What may be done in a meeting, by whom, and what a room must know. Pure: no I/O, no clock.

Owns the policy (`GRANTS`), and how a caller's wish and a live room's metadata become one. Whoever changes a grant changes
it here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from meetai_contracts.api import Role
from meetai_contracts.codec import ContractError
from meetai_contracts.room import AgentData, MeetingData, RoomMetadata, parse_room_metadata, write_room_metadata


class Grants(Struct, frozen=True, rename="camel", kw_only=True):
    """A LiveKit video grant with every switch set; the room itself is added when the token is minted.

    LiveKit reads an absent switch as yes for publish, subscribe and data (FACTS, Tokens).
    """

    room_join: bool = True
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    can_publish: bool
    can_subscribe: bool
    can_publish_data: bool
    can_update_own_metadata: bool = False
    ingress_admin: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    can_manage_agent_session: bool = False
    can_subscribe_metrics: bool = False


ROLES_BY_RANK: Final[tuple[Role, ...]] = ("viewer", "participant", "host")
"""Each may do all that the ones before it may."""

DEFAULT_ROLE: Final[Role] = "participant"

GRANTS: Final[Mapping[Role, Grants]] = {
    "viewer": Grants(can_publish=False, can_subscribe=True, can_publish_data=False),
    "participant": Grants(can_publish=True, can_subscribe=True, can_publish_data=True),
    # A host removes people and ends the meeting through this service, so roomAdmin never leaves it.
    "host": Grants(can_publish=True, can_subscribe=True, can_publish_data=True),
}
"""The policy, whole."""

DEFAULT_AGENT: Final = AgentData(name="MeetAI", instructions="Take part in the meeting, and help when you are asked.")
"""Who joins where the caller has no wish."""

DISPATCH_SETTLES_SECONDS: Final = 15.0
"""How long a dispatch without an agent in the room still counts as on its way. A warm worker joins within 0.6 s, a worker
that is just starting needs up to 12 s (FACTS, LiveKit server and livekit-agents)."""


class TokenServiceError(Exception):
    """Base of all that this service raises."""


class RoomsUnavailableError(TokenServiceError):
    """LiveKit didn't answer, or not in time. Asking again is safe: nothing is done twice."""


class GoneError(RoomsUnavailableError):
    """The room or dispatch ended between two calls. Asking again is safe."""


class RoleRefusedError(TokenServiceError):
    """The caller may not give this role.

    Attributes:
        role: What was asked for.
        highest: What may be given, if anything.
    """

    def __init__(self, role: Role, highest: Role | None) -> None:
        super().__init__(f"role {role} refused")
        self.role = role
        self.highest = highest


class MetadataTooLargeError(TokenServiceError):
    """The room's metadata would be larger than the contract allows; instructions are what makes it so."""


class Dispatch(Struct, frozen=True, order=True):
    """A request to LiveKit that an agent join a room. Ordered by age, and by id among those of one instant."""

    created_at: datetime
    id: str


class RoomWish(Struct, frozen=True):
    """What a caller says about a meeting.

    Attributes:
        meeting_name: None: no wish.
        agent: None: no agent is to come. UNSET: no wish.
    """

    meeting_id: str
    meeting_name: str | None = None
    agent: AgentData | UnsetType | None = UNSET


class RoomSetup(Struct, frozen=True):
    """What a room must know, be it made now or at the first join.

    Attributes:
        metadata: JSON of `RoomMetadata`.
        agent_name: Which agent is dispatched; None for none.
    """

    metadata: str
    agent_name: str | None


def role_to_give(asked: Role | None, scopes: Collection[str]) -> Role:
    """The role that a caller with these scopes gets for the one it asked for.

    A scope `tokens:<role>` lets its holder give that role and all below. Without a wish it is `participant`, or less where
    the caller may not give as much.

    Raises:
        RoleRefusedError: more was asked for than may be given.
    """
    allowed = [role for role in ROLES_BY_RANK if f"tokens:{role}" in scopes]
    highest = allowed[-1] if allowed else None
    limit = ROLES_BY_RANK.index(highest) if highest else -1
    role = asked or ROLES_BY_RANK[min(max(limit, 0), ROLES_BY_RANK.index(DEFAULT_ROLE))]
    if ROLES_BY_RANK.index(role) > limit:
        raise RoleRefusedError(role, highest)
    return role


def read_metadata(text: str) -> RoomMetadata | None:
    """What a room knows already, or None where that isn't a metadata of ours."""
    try:
        return parse_room_metadata(text)
    except ContractError:
        return None


def wanted_metadata(wish: RoomWish, known: RoomMetadata | None = None) -> RoomMetadata:
    """A wish, completed by what the room knows already where the caller has none, and by defaults where neither has."""
    name = wish.meeting_name or (known.meeting_data.name if known else default_meeting_name(wish.meeting_id))
    agent = wish.agent
    if agent is UNSET:
        agent = known.agent_data if known else DEFAULT_AGENT
    return RoomMetadata(v=1, meeting_data=MeetingData(id=wish.meeting_id, name=name), agent_data=agent)


def default_meeting_name(meeting_id: str) -> str:
    """A meeting that nobody named goes by its id; one whose id is blank, which ids may be, needs a word."""
    return meeting_id if meeting_id.strip() else "Meeting"


def setup_for(metadata: RoomMetadata, agent_name: str) -> RoomSetup:
    """The room that this metadata asks for.

    Raises:
        MetadataTooLargeError: more than 16 KiB.
    """
    try:
        text = write_room_metadata(metadata)
    except ContractError as error:
        raise MetadataTooLargeError(error.reason) from None
    return RoomSetup(metadata=text, agent_name=agent_name if metadata.agent_data else None)


def is_on_its_way(dispatch: Dispatch, now: datetime) -> bool:
    """Whether a dispatch may still bring an agent. Dispatch records never show a death (FACTS), so age decides."""
    return (now - dispatch.created_at).total_seconds() < DISPATCH_SETTLES_SECONDS
