"""Who may do what. Whoever changes a grant or a right changes it here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Literal

from msgspec import Struct

from meetai_contracts.api import Role
from meetai_contracts.identifiers import check_id, check_name
from meetai_token.domain.errors import RefusedError


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
            raise RefusedError(field, f"Not for this caller: it takes the right to {right} this meeting.")

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


def caller_of_claims(subject: object, meeting_id: object, role: object, display_name: object) -> Caller:
    """A person, by what their identity provider says: which meeting, what role there, and who they are.

    Raises:
        RefusedError: no such meeting, role or person can be.
    """
    identity = _id_or_none(subject)
    if identity is None:
        raise RefusedError("", "The credential's subject can't be a participant's identity.")
    own = _id_or_none(meeting_id)
    if own is None:
        raise RefusedError("", "The credential names no meeting.")
    found = [known for known in ROLES_BY_RANK if known == role]
    if not found:
        raise RefusedError("", f"The credential names no role; roles are {', '.join(ROLES_BY_RANK)}.")
    name = display_name if isinstance(display_name, str) and _is_acceptable(check_name, display_name) else None
    return Caller(
        name=identity,
        highest=found[0],
        rights=RIGHTS_OF_ROLE[found[0]],
        meeting_id=own,
        identity=identity,
        display_name=name,
    )


def _id_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and _is_acceptable(check_id, value) else None


def _is_acceptable(check: Callable[[str, str], str], value: str) -> bool:
    try:
        check(value, "")
    except ValueError:
        return False
    return True
