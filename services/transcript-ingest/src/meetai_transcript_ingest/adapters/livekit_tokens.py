"""`ParticipantTokens` by LiveKit's access tokens: HS256 JWTs signed with one of the key pairs that the LiveKit server knows.

Owns what of a token is checked. Must not log or keep one.

A token counts for as long as it says itself, and no longer than that: who stays in a meeting for hours with a token of ten
minutes (that bounds the joining, not the stay) asks the application for a new one, or uses the one with which LiveKit
refreshes a connected client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import jwt
import msgspec
from jwt.types import Options
from msgspec import Struct

from meetai_servicekit.secret import Secret
from meetai_transcript_ingest.ports import MAX_PARTICIPANT_TOKEN_BYTES, Pass

LEEWAY_SECONDS: Final = 10
"""For clocks that differ; NTP keeps them well within one second. livekit-api allows 60, which is much beside a life of 600."""

# Times are checked here, against an injected clock.
_OPTIONS: Final[Options] = {
    "require": ["iss", "exp", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}


class _Video(Struct, frozen=True, rename="camel"):
    """The grants that matter here; `agent` and `recorder` mark participants that aren't people."""

    room: str = ""
    room_join: bool = False
    agent: bool = False
    recorder: bool = False


class _Claims(Struct, frozen=True):
    sub: str
    exp: float
    nbf: float = 0
    kind: str = ""
    video: _Video = _Video()


class LiveKitParticipantTokens:
    """Believes these keys with their secrets: one, or more while a key is being changed."""

    def __init__(self, secrets: Mapping[str, Secret], *, now_seconds: Callable[[], float]) -> None:
        self._secrets = secrets
        self._now_seconds = now_seconds

    def pass_of(self, token: str) -> Pass | None:
        """See `ParticipantTokens.pass_of`."""
        claims = self._claims(token)
        if claims is None or not claims.sub:
            return None
        now = self._now_seconds()
        if not claims.nbf - LEEWAY_SECONDS <= now <= claims.exp + LEEWAY_SECONDS:
            return None
        video = claims.video
        is_person = claims.kind in {"", "standard"} and not video.agent and not video.recorder
        return Pass(claims.sub, video.room if video.room and video.room_join and is_person else None)

    def _claims(self, token: str) -> _Claims | None:
        if len(token) > MAX_PARTICIPANT_TOKEN_BYTES:
            return None
        for api_key, secret in self._secrets.items():
            try:
                claims = jwt.decode(token, secret.reveal(), algorithms=["HS256"], issuer=api_key, options=_OPTIONS)
                return msgspec.convert(claims, _Claims)
            except (jwt.PyJWTError, msgspec.ValidationError):
                continue
            except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
                continue  # what PyJWT lets through of its parsers
        return None
