"""The minted token is what LiveKit's own SDK makes for the same input, and a `jti`."""

from __future__ import annotations

import datetime as dt

import jwt
import msgspec
import pytest
from livekit.api import AccessToken, TokenVerifier, VideoGrants
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from meetai_contracts.api import Role
from meetai_servicekit.livekit import KeyPair, KeyPairs
from meetai_servicekit.secret import Secret
from meetai_token.adapters.livekit_tokens import LiveKitTokenMint
from meetai_token.domain.policy import GRANTS, ROLES_BY_RANK
from meetai_token.domain.rooms import RoomSetup
from meetai_token.ports import Grant

API_KEY, API_SECRET = "devkey", "0123456789abcdefghijklmnopqrstuv"
TTL = dt.timedelta(seconds=600)
METADATA = '{"v":1,"meetingData":{"id":"a/b 😀","name":"Größe"}}'


def grant(role: Role, agent_name: str | None, not_before: dt.datetime | None = None) -> Grant:
    start = (not_before or dt.datetime.now(dt.UTC)).replace(microsecond=0)
    return Grant(
        meeting_id="a/b 😀",
        identity="user-1",
        name="Zoë",
        role=role,
        jti="4a9c",
        not_before=start,
        expires_at=start + TTL,
        setup=RoomSetup(metadata=METADATA, agent_name=agent_name),
    )


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return claims


def claims_of_sdk(like: Grant) -> dict[str, object]:
    agents = [RoomAgentDispatch(agent_name=like.setup.agent_name)] if like.setup.agent_name else []
    token = (
        AccessToken(API_KEY, API_SECRET)
        .with_identity(like.identity)
        .with_name(like.name)
        .with_ttl(TTL)
        .with_grants(VideoGrants(room=like.meeting_id, **msgspec.structs.asdict(GRANTS[like.role])))
        .with_room_config(RoomConfiguration(metadata=like.setup.metadata, agents=agents))
        .to_jwt()
    )
    return claims_of(token)


@pytest.mark.parametrize("role", ROLES_BY_RANK)
@pytest.mark.parametrize("agent_name", ["meetai", None])
def test_claims_equal_the_sdks_when_the_input_is_the_same(role: Role, agent_name: str | None) -> None:
    """Claim by claim; only `jti` is ours alone, and the SDK takes its times from its own clock."""
    asked = grant(role, agent_name)
    ours = claims_of(LiveKitTokenMint(KeyPairs(KeyPair(API_KEY, Secret(API_SECRET)))).mint(asked))
    theirs = claims_of_sdk(asked)
    assert ours.pop("jti") == "4a9c"
    for claim in ("nbf", "exp"):
        assert abs(int(str(ours.pop(claim))) - int(str(theirs.pop(claim)))) <= 5
    assert ours == theirs


def test_sdk_verifies_the_token_when_it_is_ours() -> None:
    """LiveKit's own verifier reads back who, where and what."""
    token = LiveKitTokenMint(KeyPairs(KeyPair(API_KEY, Secret(API_SECRET)))).mint(grant("viewer", "meetai"))
    claims = TokenVerifier(API_KEY, API_SECRET).verify(token)
    assert (claims.identity, claims.name) == ("user-1", "Zoë")
    assert claims.video is not None
    assert (claims.video.room, claims.video.can_publish, claims.video.can_subscribe) == ("a/b 😀", False, True)
    assert claims.room_config is not None
    assert claims.room_config.metadata == METADATA
    assert [agent.agent_name for agent in claims.room_config.agents] == ["meetai"]


def test_token_has_exactly_these_bytes_when_the_grant_is_this() -> None:
    """The claims as they stand in the token, so that no claim appears or goes unseen."""
    asked = grant("participant", "meetai", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    token = LiveKitTokenMint(KeyPairs(KeyPair(API_KEY, Secret(API_SECRET)))).mint(asked)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "iss": "devkey",
        "sub": "user-1",
        "jti": "4a9c",
        "nbf": 1767225600,
        "exp": 1767226200,
        "name": "Zoë",
        "video": {
            "room": "a/b 😀",
            "roomJoin": True,
            "roomCreate": False,
            "roomList": False,
            "roomRecord": False,
            "roomAdmin": False,
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
            "canUpdateOwnMetadata": False,
            "ingressAdmin": False,
            "hidden": False,
            "recorder": False,
            "agent": False,
            "canManageAgentSession": False,
            "canSubscribeMetrics": False,
        },
        "roomConfig": {"metadata": METADATA, "agents": [{"agentName": "meetai"}]},
    }
