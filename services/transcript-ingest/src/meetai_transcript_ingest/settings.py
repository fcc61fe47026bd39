"""The environment of this service, read once. Nothing else here reads it."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import Secret
from meetai_servicekit.settings import HttpSettings


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
    schemes = ("postgresql", "postgres")


class RedisUrl(ServerUrl):
    """`redis://user:password@host:port/0`, or `rediss://` for TLS."""

    __slots__ = ()
    schemes = ("redis", "rediss")


DatabaseUrl = Annotated[PostgresUrl, Meta(description="The PostgreSQL database that holds the transcripts.")]


class MigrateSettings(Struct, frozen=True, kw_only=True):
    """What the sub-command `migrate` needs."""

    database_url: DatabaseUrl
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"


class IngestSettings(HttpSettings, frozen=True, kw_only=True):
    """What serving needs.

    Attributes:
        transcript_stream_shards: The same number as the agents use; each shard is one stream.
    """

    database_url: DatabaseUrl
    redis_url: Annotated[RedisUrl, Meta(description="The Redis that carries the transcript streams.")]
    service_keys: Annotated[ServiceKeys, Meta(description="Who may read: name:sha256-hex:scope+scope, …")]
    transcript_stream_shards: Annotated[int, Meta(ge=1, le=256, description="How many transcript streams.")] = 1
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8103
