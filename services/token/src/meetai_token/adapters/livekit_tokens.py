"""LiveKit access tokens: HS256 JWTs, claim by claim what livekit-api makes for the same input, plus `jti`.

Owns the claims' names and the signature. Written out here because the SDK has no `jti`, takes its own clock, and costs many times
as much (ADR 0055); tests compare the two, and have LiveKit's own verifiers read what is made here.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import Final

import msgspec
from msgspec import Struct

from meetai_servicekit.livekit import KeyPairs
from meetai_token.domain.policy import GRANTS
from meetai_token.ports import Grant


def b64url(data: bytes) -> bytes:
    """Base64 as JWTs have it (RFC 7515, section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=")


HEADER: Final = b64url(b'{"alg":"HS256","typ":"JWT"}')


class _AgentDispatch(Struct, frozen=True, rename="camel"):
    agent_name: str


class _RoomConfiguration(Struct, frozen=True, rename="camel", omit_defaults=True):
    metadata: str
    agents: tuple[_AgentDispatch, ...] = ()


class _Claims(Struct, frozen=True, rename="camel"):
    iss: str
    sub: str
    jti: str
    nbf: int
    exp: int
    name: str
    video: dict[str, bool | str]
    room_config: _RoomConfiguration


class LiveKitTokenMint:
    """Signs with the key pair in use."""

    def __init__(self, keys: KeyPairs) -> None:
        self._keys = keys
        self._video = {role: msgspec.to_builtins(grants) for role, grants in GRANTS.items()}

    def mint(self, grant: Grant) -> str:
        """Sign a token that says exactly this, with the grants of the role."""
        setup, pair = grant.setup, self._keys.current
        agents = (_AgentDispatch(setup.agent_name),) if setup.agent_name else ()
        claims = _Claims(
            iss=pair.api_key,
            sub=grant.identity,
            jti=grant.jti,
            nbf=int(grant.not_before.timestamp()),
            exp=int(grant.expires_at.timestamp()),
            name=grant.name,
            video={**self._video[grant.role], "room": grant.meeting_id},
            room_config=_RoomConfiguration(setup.metadata, agents),
        )
        signed = HEADER + b"." + b64url(msgspec.json.encode(claims))
        signature = hmac.digest(pair.api_secret.reveal().encode(), signed, "sha256")
        return (signed + b"." + b64url(signature)).decode()
