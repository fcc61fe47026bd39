"""The environment of this service, read once. Nothing else here reads it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import Secret
from meetai_servicekit.settings import HttpSettings

MIN_SECRET_CHARACTERS: Final = 32
"""HS256 needs a key of 256 bits (RFC 7518, section 3.2); livekit-server asks for the same length."""


class ServerUrl(Secret):
    """A URL that may hold a password."""

    __slots__ = ()
    schemes: ClassVar[tuple[str, ...]]

    @classmethod
    def parse_setting(cls, raw: str) -> ServerUrl:
        """Read the URL.

        Raises:
            ValueError: not a URL of one of `schemes`.
        """
        try:
            parts = urlsplit(raw)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in cls.schemes or not (parts.netloc or parts.path):
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{scheme}://' for scheme in cls.schemes)}")
        return cls(raw)


class PostgresUrl(ServerUrl):
    """`postgresql://user:password@host:port/database`."""

    __slots__ = ()
    schemes = ("postgresql",)


class RedisUrl(ServerUrl):
    """`redis://user:password@host:port/0`, or `rediss://` for TLS."""

    __slots__ = ()
    schemes = ("redis", "rediss")


class SigningSecret(Secret):
    """A secret that is long enough to sign with."""

    __slots__ = ()

    @classmethod
    def parse_setting(cls, raw: str) -> SigningSecret:
        """Read the secret.

        Raises:
            ValueError: too short.
        """
        if len(raw) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"must be at least {MIN_SECRET_CHARACTERS} characters")
        return cls(raw)


DatabaseUrl = Annotated[PostgresUrl, Meta(description="The PostgreSQL database that holds the transcripts.")]


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """What the sub-commands need."""

    database_url: DatabaseUrl
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"


class IngestSettings(HttpSettings, frozen=True, kw_only=True):
    """What serving needs.

    Attributes:
        livekit_api_key, livekit_api_secret: The key pair that participants' tokens are signed with. Without it service keys
            alone may read.
        stream_clients_max: Of this process; one more is answered 503.
        retention_days: Counted from the day (UTC) on which an agent's job started; unset, nothing is forgotten.
        transcript_stream_shards: The same number as the agents use; each shard is one stream.
    """

    database_url: DatabaseUrl
    redis_url: Annotated[RedisUrl, Meta(description="The Redis that carries the transcript streams.")]
    service_keys: Annotated[ServiceKeys, Meta(description="Who may read: name:sha256-hex:scope+scope, …")]
    livekit_api_key: (
        Annotated[str, Meta(min_length=1, description="Name of the key pair that LiveKit knows.")] | None
    ) = None
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key pair.")] | None = None
    transcript_stream_shards: Annotated[int, Meta(ge=1, le=256, description="How many transcript streams.")] = 1
    stream_clients_max: Annotated[int, Meta(ge=0, description="How many clients may follow a meeting at once.")] = 500
    retention_days: Annotated[int, Meta(ge=1, le=36_500, description="How long transcripts are kept.")] | None = None
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8103

    def __post_init__(self) -> None:
        if (self.livekit_api_key is None) != (self.livekit_api_secret is None):
            raise ValueError("LIVEKIT_API_KEY and LIVEKIT_API_SECRET: are set together or not at all")
