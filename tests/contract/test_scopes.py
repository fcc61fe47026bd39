"""The keys that are made for a developer open every route, by scopes that routes ask for."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.compose import make_environment

from meetai_local.credentials import SCOPES
from meetai_token.domain.policy import RIGHTS_OF_SCOPE

SERVICES = Path(__file__).parents[2] / "services"


def scopes_asked_for() -> set[str]:
    """All that the services' code names, as a text of its own."""
    code = "\n".join(file.read_text(encoding="utf-8") for file in SERVICES.glob("*/src/**/*.py"))
    return set(re.findall(r'"((?:tokens|meetings|transcripts|events):[a-z]+)"', code))


def test_local_key_has_every_scope_that_a_route_asks_for() -> None:
    """And no other; `meetings:admin` may all that `meetings:read` may."""
    assert RIGHTS_OF_SCOPE["meetings:read"] <= RIGHTS_OF_SCOPE["meetings:admin"]
    assert set(SCOPES) == scopes_asked_for() - {"meetings:read"}


def test_key_of_compose_has_the_same_scopes(tmp_path: Path) -> None:
    """`compose-env` is a shell script, and can't read the other list."""
    file = make_environment(tmp_path / ".env").read_text(encoding="utf-8")
    scopes = re.search(r"^SERVICE_KEYS=dev:[0-9a-f]{64}:(\S+)$", file, flags=re.MULTILINE)
    assert scopes is not None
    assert scopes[1].split("+") == list(SCOPES)
