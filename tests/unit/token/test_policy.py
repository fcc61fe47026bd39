"""Who may do what: the table of grants, and which role a caller may give."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_contracts.api import Role
from meetai_token.domain import GRANTS, ROLES_BY_RANK, Grants, RoleRefusedError, role_to_give

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
    assert role_to_give(asked, scopes) == given_role


@pytest.mark.parametrize(
    ("asked", "scopes", "highest"),
    [
        ("host", {"tokens:participant"}, "participant"),
        ("participant", {"tokens:viewer"}, "viewer"),
        ("viewer", {"transcripts:read"}, None),
        (None, set(), None),
    ],
)
def test_role_is_refused_when_the_scope_does_not_reach_it(
    asked: Role | None, scopes: set[str], highest: Role | None
) -> None:
    """The refusal says what may be given instead."""
    with pytest.raises(RoleRefusedError) as refusal:
        role_to_give(asked, scopes)
    assert refusal.value.highest == highest


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
        assert role_to_give(asked, scopes) in reachable
    else:
        with pytest.raises(RoleRefusedError):
            role_to_give(asked, scopes)
