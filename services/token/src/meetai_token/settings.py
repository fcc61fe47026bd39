"""The environment of this service, read once. Nothing else here reads it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.livekit import KeyPair
from meetai_servicekit.secret import RedisUrl, SigningSecret
from meetai_servicekit.settings import AgentName, HttpSettings, LiveKitUrl
from meetai_token.domain.limits import Quota, Quotas

IssuerUrl = Annotated[
    str, Meta(pattern=r"^(https://[^/?#\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/[^?#\s]*)?$")
]
"""Over TLS, but for one on this machine (OpenID Connect Discovery 1.0, section 3)."""
PerMinute = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^/?#*\s]+)$")]


class TokenSettings(HttpSettings, frozen=True, kw_only=True):
    """All that can be set.

    Attributes:
        livekit_url: Where this service reaches LiveKit.
        livekit_public_url: Where clients reach it; the same when absent.
        agent_name: The name under which the agent's workers are registered.
        oidc_issuer, oidc_audience: The identity provider whose people may ask for themselves; both or neither.
        oidc_meeting_claim, oidc_role_claim: What its tokens call the meeting, and the role in it.
        redis_url: Where replicas share their counts of requests; each counts for itself when absent.
        trusted_proxies: Whose `X-Forwarded-For` is believed; nobody's by default.
        cors_origins: Web pages that may call from a browser; none by default.
    """

    livekit_url: LiveKitUrl
    livekit_public_url: LiveKitUrl | None = None
    livekit_api_key: Annotated[str, Meta(min_length=1, description="Name of the key pair that LiveKit knows.")]
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key pair.")]
    livekit_api_key_next: (
        Annotated[str, Meta(min_length=1, description="A second key pair, for when LiveKit refuses the first.")] | None
    ) = None
    livekit_api_secret_next: Annotated[SigningSecret, Meta(description="Secret of that second pair.")] | None = None
    service_keys: Annotated[ServiceKeys, Meta(description="Who may call: name:sha256-hex:scope+scope, …")]
    token_ttl_seconds: Annotated[int, Meta(ge=60, le=21_600, description="How long a token can be used to join.")] = 600
    agent_name: AgentName = "meetai"
    oidc_issuer: (
        Annotated[IssuerUrl, Meta(description="Issuer of people's tokens, exactly as they name it.")] | None
    ) = None
    oidc_audience: Annotated[str, Meta(min_length=1, description="Audience that their tokens must name.")] | None = None
    oidc_meeting_claim: Annotated[str, Meta(min_length=1, description="Claim with the meeting id.")] = "meeting_id"
    oidc_role_claim: Annotated[str, Meta(min_length=1, description="Claim with the role.")] = "meeting_role"
    redis_url: Annotated[RedisUrl, Meta(description="Redis in which replicas count requests together.")] | None = None
    rate_limit_key: Annotated[PerMinute, Meta(description="Requests a minute for each service key.")] = 6_000
    rate_limit_person: Annotated[PerMinute, Meta(description="Requests a minute for each person.")] = 60
    rate_limit_address: Annotated[
        PerMinute, Meta(description="Requests a minute for each address, those with a service key not counted.")
    ] = 600
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks of proxies before us, separated by commas.")
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...], Meta(description="Origins whose pages may call, separated by commas; * for any.")
    ] = ()
    cors_credentials: Annotated[
        bool, Meta(description="Whether browsers send cookies along, for a proxy before us.")
    ] = False
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on.")] = 8101

    def __post_init__(self) -> None:
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError("TRUSTED_PROXIES: must be addresses or networks, as in 10.0.0.0/8") from None
        if (self.livekit_api_key_next is None) != (self.livekit_api_secret_next is None):
            raise ValueError("LIVEKIT_API_KEY_NEXT: goes together with LIVEKIT_API_SECRET_NEXT; set both, or neither")
        if self.livekit_api_key_next == self.livekit_api_key:
            raise ValueError("LIVEKIT_API_KEY_NEXT: must be another key than LIVEKIT_API_KEY")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("OIDC_AUDIENCE: goes together with OIDC_ISSUER; set both, or neither")
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("CORS_CREDENTIALS: can't be set together with CORS_ORIGINS=*; name the origins")

    @property
    def server_url(self) -> str:
        """The address that clients are given."""
        return self.livekit_public_url or self.livekit_url

    @property
    def quotas(self) -> Quotas:
        """How often each kind of caller may ask."""
        return Quotas(
            key=Quota("key", self.rate_limit_key),
            person=Quota("person", self.rate_limit_person),
            address=Quota("address", self.rate_limit_address),
        )

    @property
    def next_key_pair(self) -> KeyPair | None:
        """LiveKit's second key pair."""
        if self.livekit_api_key_next is None or self.livekit_api_secret_next is None:
            return None
        return KeyPair(self.livekit_api_key_next, self.livekit_api_secret_next)
