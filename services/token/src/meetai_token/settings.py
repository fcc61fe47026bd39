"""The environment of this service, read once. Nothing else here reads it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import SigningSecret
from meetai_servicekit.settings import HttpSettings

ServerUrl = Annotated[str, Meta(pattern="^(wss?|https?)://[^/?#]+", description="Address of the LiveKit server.")]

Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^/?#*\s]+)$")]


class TokenSettings(HttpSettings, frozen=True, kw_only=True):
    """All that can be set.

    Attributes:
        livekit_url: Where this service reaches LiveKit.
        livekit_public_url: Where clients reach it; the same when absent.
        agent_name: The name under which the agent's workers are registered.
        cors_origins: Web pages that may call from a browser; none by default.
    """

    livekit_url: ServerUrl
    livekit_public_url: ServerUrl | None = None
    livekit_api_key: Annotated[str, Meta(min_length=1, description="Name of the key pair that LiveKit knows.")]
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key pair.")]
    service_keys: Annotated[ServiceKeys, Meta(description="Who may call: name:sha256-hex:scope+scope, …")]
    token_ttl_seconds: Annotated[int, Meta(ge=60, le=21_600, description="How long a token can be used to join.")] = 600
    agent_name: Annotated[str, Meta(min_length=1, max_length=128, description="Name the agent registers under.")] = (
        "meetai"
    )
    cors_origins: Annotated[
        tuple[Origin, ...], Meta(description="Origins whose pages may call, separated by commas; * for any.")
    ] = ()
    cors_credentials: Annotated[
        bool, Meta(description="Whether browsers send cookies along, for a proxy before us.")
    ] = False
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8101

    def __post_init__(self) -> None:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("CORS_CREDENTIALS: can't be set together with CORS_ORIGINS=*; name the origins")

    @property
    def server_url(self) -> str:
        """The address that clients are given."""
        return self.livekit_public_url or self.livekit_url
