"""Whatever is sent, and however: the answers are those that the OpenAPI document names, and no token goes beyond the policy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.token.livekit_server import API_SECRET
from tests.integration.token.token_process import KEYS, TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer

from meetai_token.domain.policy import GRANTS, ROLES_BY_RANK

EXAMPLES = 10
FUZZ_SECONDS = 240

CHECKS = """
# What JSON Schema can't say, a 400 does: text in NFC and without control characters, length in bytes, and what a service key has
# to add that a person's token says by itself.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404]
"""
EXCLUDED = "allow_header_conformance"
"""Litestar answers OPTIONS with the methods of the handler that was registered first for a path."""


@pytest.fixture(scope="module")
def service(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProcess]:
    extra = {"RATE_LIMIT_KEY": "1000000", "RATE_LIMIT_ADDRESS": "1000000"}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as running:
        yield running


def test_answers_are_the_documented_ones_when_schemathesis_asks(service: TokenProcess, tmp_path: Path) -> None:
    """All its checks but one, over all routes, with a key that may let in anybody and end any meeting."""
    (tmp_path / "schemathesis.toml").write_text(CHECKS)
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{service.url}/schema",
        "--checks",
        "all",
        "--exclude-checks",
        EXCLUDED,
    ]
    command += ["--max-examples", str(EXAMPLES), "--seed", "6", "--generation-database", "none", "--no-color"]
    command += [
        "--header",
        f"Authorization: Bearer {KEYS['everything'][0]}",
        "--workers",
        "1",
        "--request-timeout",
        "20",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=FUZZ_SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert "Traceback" not in service.log()


NAMES = st.sampled_from(
    [
        "room_name",
        "participant_identity",
        "room_config",
        "userId",
        "userName",
        "role",
        "meetingName",
        "agent",
        "user_id",
        "video",
        "roomAdmin",
        "grants",
        "metadata",
        "ttl",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["host", "participant", "viewer", "u-1", "Ann", {"name": "Clara", "instructions": "Be brief."}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {"userId": st.just("u-1") | VALUES, "userName": st.just("Ann") | VALUES},
    optional={
        "role": st.sampled_from([*ROLES_BY_RANK, "king", "HOST", None]) | VALUES,
        "agent": VALUES,
        "video": VALUES,
    },
) | st.dictionaries(NAMES, VALUES, max_size=6)
MEETINGS = st.just("fuzz") | st.text(min_size=1, max_size=8)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client


@given(
    body=BODIES | VALUES | st.binary(max_size=64),
    meeting=MEETINGS,
    key=st.sampled_from(sorted(KEYS)),
    source=st.booleans(),
)
@settings(
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_token_goes_beyond_the_policy_whatever_is_asked(
    service: TokenProcess, http: httpx.Client, body: Any, meeting: str, key: str, source: bool
) -> None:
    """No 5xx, and if there is a token: for the room that was asked for, with the grants of a role that the key may give."""
    url = "/livekit/token" if source else f"/v1/meetings/{quoted(meeting)}/tokens"
    raw = {"content": body} if isinstance(body, bytes) else {"json": body}
    headers = {"Authorization": f"Bearer {KEYS[key][0]}", "Content-Type": "application/json"}
    for _ in range(3):
        answer = http.post(f"{service.url}{url}", headers=headers, **raw)
        if answer.status_code != 503:  # LiveKit has little time to answer, on a busy machine too little
            break
    assert answer.status_code in {201, 400, 403, 404, 405}, answer.text
    if answer.status_code != 201:
        assert answer.headers["content-type"] == "application/problem+json"
        return
    highest = {"everything": "host"}.get(key, key)
    assert highest in ROLES_BY_RANK
    token = answer.json()["participant_token" if source else "participantToken"]
    claims = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    video = claims["video"]
    assert video.pop("room") == (body["room_name"] if source else meeting)
    allowed = [msgspec.to_builtins(GRANTS[role]) for role in ROLES_BY_RANK[: ROLES_BY_RANK.index(highest) + 1]]
    assert video in allowed
    assert claims["exp"] - claims["nbf"] == 600
    assert set(claims) == {"iss", "sub", "jti", "nbf", "exp", "name", "video", "roomConfig"}


def quoted(meeting: str) -> str:
    return quote(meeting, safe="", errors="surrogatepass")
