"""The policy that people read is the one that is in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from meetai_contracts.api import Role
from meetai_token.domain.policy import GRANTS, RIGHTS_OF_SCOPE, ROLES_BY_RANK, caller_of_key

README = Path(__file__).parents[3] / "services" / "token" / "README.md"
RIGHTS = ("see", "shape", "manage")
SCOPES = (*(f"tokens:{role}" for role in ROLES_BY_RANK), "meetings:read", "meetings:admin")


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


@pytest.mark.parametrize("role", ROLES_BY_RANK)
def test_readme_has_the_grants_when_a_role_has_them(role: Role) -> None:
    """Inside a meeting."""
    grants = GRANTS[role]
    switches = (grants.can_publish, grants.can_subscribe, grants.can_publish_data)
    assert row(role, *("yes" if each else "no" for each in switches)) in README.read_text().splitlines()


@pytest.mark.parametrize("scope", SCOPES)
def test_readme_has_the_rights_when_a_scope_gives_them(scope: str) -> None:
    """Outside it."""
    assert set(RIGHTS_OF_SCOPE) <= set(SCOPES)
    caller = caller_of_key("crm", {scope})
    roles = ROLES_BY_RANK[: ROLES_BY_RANK.index(caller.highest) + 1] if caller.highest else ()
    rights = [right for right in RIGHTS if right in caller.rights]
    assert row(f"`{scope}`", ", ".join(roles), ", ".join(rights)) in README.read_text().splitlines()
