"""The environment of this service, read once. Nothing else here reads it.

Inngest's settings have the names that its SDK gives them, and are handed to the SDK explicitly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import MoreKeys, PostgresUrl, RedisUrl, Secret, SigningSecret
from meetai_servicekit.settings import (
    AgentName,
    HttpSettings,
    InngestDev,
    LiveKitUrl,
    SettingsError,
    exit_with_problems,
    load,
)

Url = Annotated[str, Meta(pattern=r"^https?://[^/?#\s]+")]


DatabaseUrl = Annotated[PostgresUrl, Meta(description="postgresql://user:password@host:port/database")]


class BridgeSettings(HttpSettings, frozen=True, kw_only=True):
    """All that can be set.

    Attributes:
        redis_url: Required: without it the agent's decisions and the transcripts' completions would never arrive, and nothing
            would say so (ADR 0026).
        livekit_url: Of the LiveKit whose webhooks come here. A second LiveKit needs a second bridge: this one would take the
            other's rooms for lost.
        livekit_more_keys: Pairs that are accepted beside the first while a key is rotated.
        agent_name: As in the token service: which agent is sent for when a room has lost its own.
        retention_days: How long webhooks, events that were sent or died, and rooms are kept; what is pending always is.
        room_grace_seconds: How long a room may be away and its meeting still go on.
        relay_events: LiveKit events that become events in Inngest. `room_finished` always does.
    """

    database_url: DatabaseUrl
    redis_url: Annotated[RedisUrl, Meta(description="The Redis that carries the events stream.")]
    livekit_url: LiveKitUrl
    livekit_api_key: Annotated[str, Meta(min_length=1, description="Name of the key that LiveKit signs webhooks with.")]
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key.")]
    livekit_more_keys: Annotated[MoreKeys, Meta(description="More such keys: key:secret, …")] = MoreKeys()
    service_keys: Annotated[ServiceKeys, Meta(description="Who may call: name:sha256-hex:scope+scope, …")]
    inngest_dev: Annotated[
        InngestDev, Meta(description="Send to an Inngest dev server: 1 for the usual address, or its URL.")
    ] = InngestDev()
    inngest_event_key: Annotated[Secret, Meta(description="Event key; required without a dev server.")] | None = None
    inngest_signing_key: Annotated[Secret, Meta(description="Signing key, for the SDK's own calls.")] | None = None
    inngest_base_url: Annotated[Url, Meta(description="An Inngest of one's own: its address.")] | None = None
    inngest_event_api_base_url: (
        Annotated[Url, Meta(description="Where events go, if that is another address than the base URL.")] | None
    ) = None
    relay_events: tuple[Annotated[str, Meta(pattern="^[a-z_]{1,64}$")], ...] = ("room_finished",)
    agent_name: AgentName = "meetai"
    room_grace_seconds: Annotated[int, Meta(ge=5, le=3600, description="How long a room may be away.")] = 60
    retention_days: Annotated[int, Meta(ge=3, le=3650, description="How long the ledger is kept.")] = 30
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8102

    @property
    def relayed(self) -> frozenset[str]:
        """The LiveKit events that become events in Inngest."""
        return frozenset({"room_finished", *self.relay_events})


class MigrationSettings(HttpSettings, frozen=True, kw_only=True):
    """All that `migrate` needs: it holds no key of LiveKit's or Inngest's."""

    database_url: DatabaseUrl


def load_bridge_settings_or_exit(environ: Mapping[str, str]) -> BridgeSettings:
    """Read the settings, or name every one that is missing or wrong on stderr and leave with exit code 2."""
    problems: list[str] = []
    settings: BridgeSettings | None = None
    try:
        settings = load(BridgeSettings, environ)
    except SettingsError as error:
        problems = error.problems
    if not _names_an_inngest(environ):
        problems = [*problems, "INNGEST_EVENT_KEY: is required (or INNGEST_DEV, 1 or the URL of a dev server)"]
    if settings is None or problems:
        exit_with_problems(problems)
    return settings


def _names_an_inngest(environ: Mapping[str, str]) -> bool:
    dev = environ.get("INNGEST_DEV", "")
    return bool(environ.get("INNGEST_EVENT_KEY")) or dev.lower() not in {"", "0", "false"}
