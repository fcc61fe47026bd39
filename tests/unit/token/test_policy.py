"""Who may do what: the table of grants, and which role a caller may give."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_contracts.api import Role
from meetai_token.domain.errors import RefusedError
from meetai_token.domain.policy import GRANTS, RIGHTS_OF_ROLE, ROLES_BY_RANK, Caller, Grants, Right, caller_of_key

ROLES = st.sampled_from(ROLES_BY_RANK)
SCOPES = st.frozensets(
    st.sampled_from([*(f"tokens:{role}" for role in ROLES_BY_RANK), "transcripts:read", "tokens:admin"])
)
NEVER = (
    "room_create", "room_list", "room_record", "room_admin", "can_update_own_metadata", "ingress_admin", "hidden",
    "recorder", "agent", "can_manage_agent_session", "can_subscribe_metrics",
)  # fmt: skip


def test_table_has_a_row_when_a_role_exists() -> None:
    """Every role of the contract has its grants."""
    assert set(GRANTS) == set(Role.__args__) == set(ROLES_BY_RANK)  # type: ignore[attr-defined]  # Literal's own


@pytest.mark.parametrize(
    ("role", "publish", "subscribe", "data"),
    [("host", True, True, True), ("participant", True, True, True), ("viewer", False, True, False)],
)
def test_grants_are_as_written_when_a_role_is_given(role: Role, publish: bool, subscribe: bool, data: bool) -> None:
    """The whole policy, once more and by hand, so that no change of it is an accident."""
    expected = {
        **dict.fromkeys(NEVER, False),
        "room_join": True,
        "can_publish": publish,
        "can_subscribe": subscribe,
        "can_publish_data": data,
    }
    assert msgspec.structs.asdict(GRANTS[role]) == expected


def test_every_switch_is_in_the_token_when_its_value_is_no() -> None:
    """An absent switch can mean yes, so none is left out."""
    assert set(msgspec.to_builtins(GRANTS["viewer"])) == {field.encode_name for field in msgspec.structs.fields(Grants)}


@pytest.mark.parametrize(
    ("asked", "scopes", "given_role"),
    [
        ("host", {"tokens:host"}, "host"),
        ("viewer", {"tokens:host"}, "viewer"),
        ("participant", {"tokens:participant"}, "participant"),
        (None, {"tokens:host"}, "participant"),
        (None, {"tokens:participant"}, "participant"),
        (None, {"tokens:viewer"}, "viewer"),
        (None, {"tokens:viewer", "tokens:host"}, "participant"),
        ("host", {"tokens:viewer", "tokens:host"}, "host"),
    ],
)
def test_role_is_given_when_the_scope_reaches_it(asked: Role | None, scopes: set[str], given_role: Role) -> None:
    """A scope lets its holder give that role and all below it; without a wish, participant or what there is."""
    assert caller_of_key("crm", scopes).role_to_give(asked) == given_role


@pytest.mark.parametrize(
    ("asked", "scopes", "accepted"),
    [
        ("host", {"tokens:participant"}, "one of viewer, participant for"),
        ("participant", {"tokens:viewer"}, "one of viewer for"),
        ("viewer", {"transcripts:read"}, "takes a scope tokens:host"),
        (None, {"meetings:admin"}, "takes a scope tokens:host"),
        (None, set(), "takes a scope tokens:host"),
    ],
)
def test_role_is_refused_when_the_scope_does_not_reach_it(asked: Role | None, scopes: set[str], accepted: str) -> None:
    """The refusal says what may be given instead."""
    with pytest.raises(RefusedError) as refusal:
        caller_of_key("crm", scopes).role_to_give(asked)
    assert refusal.value.field == "role"
    assert accepted in refusal.value.reason


@pytest.mark.parametrize(
    ("scopes", "rights"),
    [
        ({"tokens:viewer"}, set()),
        ({"tokens:participant"}, set()),
        ({"tokens:host"}, {"shape"}),
        ({"meetings:read"}, {"see"}),
        ({"meetings:admin"}, {"see", "shape", "manage"}),
        ({"tokens:participant", "meetings:read"}, {"see"}),
        ({"transcripts:admin", "events:admin", "meetings:manage", "tokens:admin"}, set()),
    ],
)
def test_rights_are_as_written_when_a_key_has_scopes(scopes: set[str], rights: set[Right]) -> None:
    """The other half of the policy, by hand; a scope of another service or of nobody gives nothing."""
    assert caller_of_key("crm", scopes).rights == rights


@pytest.mark.parametrize(
    ("role", "rights"), [("viewer", {"see"}), ("participant", {"see"}), ("host", {"see", "shape", "manage"})]
)
def test_rights_are_as_written_when_a_person_has_a_role(role: Role, rights: set[Right]) -> None:
    """A host removes people and ends the meeting; nobody else does."""
    assert RIGHTS_OF_ROLE[role] == rights


def test_caller_is_held_to_their_own_when_their_credential_names_it() -> None:
    """Their meeting, themselves, under their own name; and each refusal names what was refused."""
    caller = Caller(name="ann", highest="host", meeting_id="m", identity="u-1", display_name="Ann")
    caller.check_meeting("m")
    caller.check_person("u-1", "Ann")
    attempts: dict[str, Callable[[], None]] = {
        "meetingId": lambda: caller.check_meeting("other"),
        "userId": lambda: caller.check_person("u-2", "Ann"),
        "userName": lambda: caller.check_person("u-1", "Bob"),
    }
    for field, attempt in attempts.items():
        with pytest.raises(RefusedError) as refusal:
            attempt()
        assert refusal.value.field == field


@given(asked=st.none() | ROLES, scopes=SCOPES)
def test_nobody_gets_more_than_their_scopes_when_asking_for_anything(
    asked: Role | None, scopes: frozenset[str]
) -> None:
    """Over all wishes and scopes: the role given is one that a scope covers."""
    reachable = {
        role
        for role in ROLES_BY_RANK
        for top in ROLES_BY_RANK[ROLES_BY_RANK.index(role) :]
        if f"tokens:{top}" in scopes
    }
    if asked in reachable or (asked is None and reachable):
        assert caller_of_key("crm", scopes).role_to_give(asked) in reachable
    else:
        with pytest.raises(RefusedError):
            caller_of_key("crm", scopes).role_to_give(asked)
