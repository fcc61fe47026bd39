"""The environment of this service, read once. Nothing else here reads it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import MoreKeys, PostgresUrl, RedisUrl, SigningSecret
from meetai_servicekit.settings import HttpSettings, StreamShards

DatabaseUrl = Annotated[PostgresUrl, Meta(description="The PostgreSQL database that holds the transcripts.")]


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """What the sub-commands need."""

    database_url: DatabaseUrl
    log_level: Annotated[
        str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged.")
    ] = "INFO"


class IngestSettings(HttpSettings, frozen=True, kw_only=True):
    """What serving needs.

    Attributes:
        livekit_api_key, livekit_api_secret: The key pair that participants' tokens are signed with. Without it service keys
            alone may read.
        livekit_more_keys: Pairs that are believed beside it while a key is changed, as in the webhook-bridge.
        stream_clients_max: Of this process; one more is answered 503.
        completion_quiet_seconds: How long after the last producer has closed a room counts as complete: 22 s until a killed agent's loss
            shows, and the time in which another is there (ADR 0027).
        retention_days: Counted from the day (UTC) on which an agent's job started; unset, nothing is forgotten.
        transcript_stream_shards: At least as many as the agents write to; each shard is one stream.
    """

    database_url: DatabaseUrl
    redis_url: Annotated[RedisUrl, Meta(description="The Redis that carries the transcript streams.")]
    service_keys: Annotated[ServiceKeys, Meta(description="Who may read: name:sha256-hex:scope+scope, …")]
    livekit_api_key: (
        Annotated[str, Meta(min_length=1, description="Name of the key pair that LiveKit knows.")] | None
    ) = None
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key pair.")] | None = None
    livekit_more_keys: Annotated[MoreKeys, Meta(description="More such pairs: key:secret, …")] = MoreKeys()
    transcript_stream_shards: StreamShards = 1
    stream_clients_max: Annotated[int, Meta(ge=0, description="How many clients may follow a meeting at once.")] = 500
    completion_quiet_seconds: Annotated[
        float, Meta(ge=0, le=3_600, description="How long a room must be quiet to be complete.")
    ] = 60.0
    retention_days: Annotated[int, Meta(ge=1, le=36_500, description="How long transcripts are kept.")] | None = None
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8103

    def __post_init__(self) -> None:
        if (self.livekit_api_key is None) != (self.livekit_api_secret is None):
            raise ValueError("LIVEKIT_API_KEY and LIVEKIT_API_SECRET: are set together or not at all")
        if self.livekit_more_keys and self.livekit_api_key is None:
            raise ValueError("LIVEKIT_MORE_KEYS: goes beside LIVEKIT_API_KEY, which is not set")
        if self.livekit_api_key in dict(self.livekit_more_keys):
            raise ValueError("LIVEKIT_MORE_KEYS: names the key that LIVEKIT_API_KEY is")
