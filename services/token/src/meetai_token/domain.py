"""What may be done in a meeting, by whom, and what a room must know. Pure: no I/O, no clock.

Owns the policy (`GRANTS`), and how a caller's wish and a live room's metadata become one. Whoever changes a grant changes
it here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, Literal

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
"""The policy inside a meeting, whole."""

Right = Literal["see", "shape", "manage"]
"""`see` who is in a meeting. `shape`: say what it is called and which agent it has. `manage`: remove people, and end it."""

RIGHTS_OF_ROLE: Final[Mapping[Role, frozenset[Right]]] = {
    "viewer": frozenset({"see"}),
    "participant": frozenset({"see"}),
    "host": frozenset({"see", "shape", "manage"}),
}
"""The policy outside it: what a person may ask of this service, for the one meeting that their identity provider names."""

RIGHTS_OF_SCOPE: Final[Mapping[str, frozenset[Right]]] = {
    "meetings:read": frozenset({"see"}),
    "meetings:admin": frozenset({"see", "shape", "manage"}),
    # Who may make a host may say what the host's meeting is; ending it takes more.
    "tokens:host": frozenset({"shape"}),
}
"""And what a service key may ask, for any meeting. Its scope `tokens:<role>` also lets it give that role and all below."""

DEFAULT_AGENT: Final = AgentData(name="MeetAI", instructions="Take part in the meeting, and help when you are asked.")
"""Who joins where the caller has no wish."""


class TokenServiceError(Exception):
    """Base of all that this service raises."""


class RoomsUnavailableError(TokenServiceError):
    """LiveKit didn't answer, or not in time. Asking again is safe: nothing is done twice."""


class GoneError(RoomsUnavailableError):
    """The room or dispatch ended between two calls. Asking again is safe."""


class NotLiveError(TokenServiceError):
    """There is no such meeting now, or no such person in it."""


class RefusedError(TokenServiceError):
    """The caller may not do this.

    Attributes:
        field: Which part of the request is refused, by its name in `TokenRequest`; "" for the whole of it.
        reason: Why, without a value that the caller sent.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'request'}: {reason}")
        self.field = field
        self.reason = reason


class MetadataTooLargeError(TokenServiceError):
    """The room's metadata would be larger than the contract allows; instructions are what makes it so."""


class RoomWish(Struct, frozen=True):
    """What a caller says about a meeting.

    Attributes:
        meeting_name: None: no wish.
        agent: None: no agent is to come. UNSET: no wish.
    """

    meeting_id: str
    meeting_name: str | None = None
    agent: AgentData | UnsetType | None = UNSET

    @property
    def is_none(self) -> bool:
        """Whether the meeting may be whatever it is."""
        return self.meeting_name is None and self.agent is UNSET


class Present(Struct, frozen=True):
    """Somebody in a room; agents too."""

    identity: str
    name: str
    joined_at: datetime
    is_agent: bool
    publishing: bool


class LiveRoom(Struct, frozen=True):
    """A room as it is now."""

    sid: str
    started_at: datetime
    metadata: str
    present: tuple[Present, ...]


class RoomSetup(Struct, frozen=True):
    """What a room must know, be it made now or at the first join.

    Attributes:
        metadata: JSON of `RoomMetadata`.
        agent_name: Which agent is dispatched; None for none.
    """

    metadata: str
    agent_name: str | None


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks, and all that policy lets them ask for.

    Attributes:
        name: Who it is, for the log.
        highest: The highest role that they may give; None for none.
        rights: What they may do beside that.
        meeting_id: The only meeting that they may ask about; None for any.
        identity: The only person that they may let in, which is themselves; None for any.
        display_name: What that person is called, where their identity provider says so.
    """

    name: str
    highest: Role | None = None
    rights: frozenset[Right] = frozenset()
    meeting_id: str | None = None
    identity: str | None = None
    display_name: str | None = None

    def check_meeting(self, meeting_id: str) -> None:
        """Raises `RefusedError` for a meeting that isn't theirs."""
        self._check_own("meetingId", self.meeting_id, meeting_id)

    def check_person(self, identity: str, display_name: str) -> None:
        """Raises `RefusedError` for anybody whom they may not let in, and for a name that isn't that person's."""
        self._check_own("userId", self.identity, identity)
        self._check_own("userName", self.display_name, display_name)

    def check_right(self, right: Right, field: str = "") -> None:
        """Raises `RefusedError` for what they may not do; `field` is where the request asks for it."""
        if right not in self.rights:
            raise RefusedError(field, f"may not be chosen by this caller; it takes the right to {right} meetings")

    def role_to_give(self, asked: Role | None) -> Role:
        """The role for the one that was asked for. Without a wish it is `participant`, or less where that is all.

        Raises:
            RefusedError: more was asked for than may be given.
        """
        allowed = ROLES_BY_RANK[: ROLES_BY_RANK.index(self.highest) + 1] if self.highest else ()
        role = asked or min(self.highest or DEFAULT_ROLE, DEFAULT_ROLE, key=ROLES_BY_RANK.index)
        if role not in allowed:
            raise RefusedError("role", f"must be one of {', '.join(allowed)} for this caller" if allowed else _NO_ROLE)
        return role

    @staticmethod
    def _check_own(field: str, own: str | None, asked: str) -> None:
        if own is not None and asked != own:
            raise RefusedError(field, "must be what the caller's own credential says")


_NO_ROLE: Final = "may not be given by this caller: it takes a scope tokens:host, tokens:participant or tokens:viewer"


def caller_of_key(name: str, scopes: Collection[str]) -> Caller:
    """A backend, by its service key."""
    roles = [role for role in ROLES_BY_RANK if f"tokens:{role}" in scopes]
    rights = frozenset(right for scope in scopes for right in RIGHTS_OF_SCOPE.get(scope, frozenset()))
    return Caller(name=name, highest=roles[-1] if roles else None, rights=rights)


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
