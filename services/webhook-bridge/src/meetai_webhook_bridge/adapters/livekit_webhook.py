"""LiveKit's webhooks: are they LiveKit's, and what do they say.

Owns the signature rules and the shape of LiveKit's protojson. Must not log or keep a token, nor let a credential through.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError
from meetai_webhook_bridge.domain.webhooks import Room, Webhook, storable

MAX_LIFETIME_SECONDS: Final = 600
"""livekit-server signs for 5 minutes (FACTS, webhooks). A token good for years would be a key that can't be revoked."""
LEEWAY_SECONDS: Final = 30
"""For clocks that differ; livekit-api allows 60."""
MAX_TOKEN_CHARACTERS: Final = 4096
"""A webhook's token has about 300."""

_AGENT_KINDS: Final = ("AGENT", 4)
"""ParticipantInfo.Kind (livekit/protocol, livekit_models.proto)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Text = Annotated[str, Meta(min_length=1, max_length=256)]
UnixSeconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
UnixMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]


class KeyPair(Struct, frozen=True):
    """A key whose webhooks are believed."""

    api_key: str
    secret: Secret


class _Header(Struct, frozen=True):
    """`crit` would name extensions that must be understood, and none is (RFC 7515, section 4.1.11)."""

    alg: Literal["HS256"]
    crit: UnsetType = UNSET


class _Claims(Struct, frozen=True):
    iss: str
    exp: int
    sha256: str
    nbf: int = 0


class _Room(Struct, frozen=True, rename="camel"):
    """int64 comes as text, and as a number from other protojson writers; an absent field is zero."""

    sid: str = ""
    name: str = ""
    creation_time: UnixSeconds = 0
    creation_time_ms: UnixMs = 0
    metadata: Any = ""

    @property
    def created_at(self) -> datetime | None:
        milliseconds = self.creation_time_ms or self.creation_time * 1000
        return _instant(milliseconds) if milliseconds else None


class _Participant(Struct, frozen=True):
    kind: Any = None
    """Absent in a person's; protojson writes an enum by its name or its number."""


class _Envelope(Struct, frozen=True, rename="camel"):
    id: Text
    event: Text
    created_at: UnixSeconds = 0
    room: _Room | None = None
    participant: _Participant | None = None


class LiveKitWebhookReader:
    """Verifies over the raw body, then parses. Tolerates events and fields that it doesn't know."""

    def __init__(self, key_pairs: Sequence[KeyPair], *, now: Callable[[], datetime]) -> None:
        self._key_pairs = tuple(key_pairs)
        self._now = now

    def read(self, body: bytes, authorization: str) -> Webhook:
        """The webhook that LiveKit sent.

        Args:
            body: As received; not one byte may have changed.
            authorization: The header's value, a JWT with or without `Bearer `; "" when there was none.

        Raises:
            ForgedWebhookError: not signed by one of the key pairs, for this body and for now.
            MalformedWebhookError: signed, and not a webhook.
        """
        self._verify(body, authorization)
        return self._parse(body)

    def _verify(self, body: bytes, authorization: str) -> None:
        claims = self._claims(_bare_token(authorization))
        digest = base64.b64encode(hashlib.sha256(body).digest())
        if not hmac.compare_digest(digest, claims.sha256.encode("utf-8", "surrogatepass")):
            raise ForgedWebhookError("other_body")
        now_seconds = self._now().timestamp()
        if claims.exp < now_seconds - LEEWAY_SECONDS:
            raise ForgedWebhookError("expired")
        if claims.exp > now_seconds + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
            raise ForgedWebhookError("lives_too_long")
        if claims.nbf > now_seconds + LEEWAY_SECONDS:
            raise ForgedWebhookError("not_valid_yet")

    def _claims(self, token: str) -> _Claims:
        """HS256 by hand (RFC 7515): PyJWT's checks of keys and options take twice as long as all the rest of reading a webhook."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        try:
            msgspec.json.decode(_segment(header), type=_Header)
            message, given = signed.encode("ascii"), signature.encode("ascii")
        except (
            ValueError,
            RecursionError,
        ) as error:  # msgspec's, binascii's and Unicode's errors are of the first kind
            raise ForgedWebhookError("malformed_token") from error
        for pair in self._key_pairs:
            digest = hmac.digest(pair.secret.reveal().encode(), message, "sha256")
            # As text: base64 has several ways to write the same bytes, and only one is a signature.
            if hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), given):
                return self._signed_claims(payload, pair.api_key)
        raise ForgedWebhookError("signature")

    @staticmethod
    def _signed_claims(payload: str, api_key: str) -> _Claims:
        try:
            claims = msgspec.json.decode(_segment(payload), type=_Claims)
        except (ValueError, RecursionError) as error:
            raise ForgedWebhookError("claims") from error
        if claims.iss != api_key:
            raise ForgedWebhookError("issuer")
        return claims

    def _parse(self, body: bytes) -> Webhook:
        try:
            decoded = storable(msgspec.json.decode(body, type=dict[str, Any]))
            envelope = msgspec.convert(decoded, _Envelope, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedWebhookError(type(error).__name__) from error
        room = envelope.room
        return Webhook(
            id=envelope.id,
            event=envelope.event,
            created_at=_instant(envelope.created_at * 1000) if envelope.created_at else self._now(),
            room=None if room is None else _room(room),
            body=decoded,
            is_of_agent=envelope.participant is not None and envelope.participant.kind in _AGENT_KINDS,
        )


def _bare_token(authorization: str) -> str:
    token = authorization.strip()
    if token[:7].lower() == "bearer ":  # some senders add the scheme (FACTS, webhooks)
        token = token[7:].strip()
    if not token:
        raise ForgedWebhookError("no_token")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise ForgedWebhookError("token_too_long")
    return token


def _segment(text: str) -> bytes:
    """Base64url without padding, and nothing else."""
    if "=" in text:
        raise ValueError("padded")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _room(room: _Room) -> Room:
    metadata = room.metadata if isinstance(room.metadata, str) else ""
    return Room(sid=room.sid, name=room.name, created_at=room.created_at, metadata=metadata)


def _instant(unix_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=unix_ms)
