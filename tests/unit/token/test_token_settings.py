"""Settings that would open the door too wide are refused before anything starts."""

from __future__ import annotations

import pytest

from meetai_servicekit.settings import SettingsError, load
from meetai_token.settings import TokenSettings

GOOD = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": "0123456789abcdefghijklmnopqrstuv",
    "SERVICE_KEYS": f"crm:{'0' * 64}:tokens:host",
}


def test_no_page_may_call_when_nothing_is_set() -> None:
    """Closed by default."""
    assert load(TokenSettings, GOOD).cors_origins == ()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"CORS_ORIGINS": "*", "CORS_CREDENTIALS": "true"}, "CORS_CREDENTIALS"),
        ({"CORS_ORIGINS": "https://a.example, *", "CORS_CREDENTIALS": "1"}, "CORS_CREDENTIALS"),
        ({"CORS_ORIGINS": "https://*.example.com"}, "CORS_ORIGINS"),
        ({"CORS_ORIGINS": "meet.example.com"}, "CORS_ORIGINS"),
        ({"CORS_ORIGINS": "https://meet.example.com/"}, "CORS_ORIGINS"),
        ({"LIVEKIT_API_KEY_NEXT": "next"}, "LIVEKIT_API_KEY_NEXT"),
        ({"LIVEKIT_API_KEY_NEXT": "devkey", "LIVEKIT_API_SECRET_NEXT": "v" * 32}, "LIVEKIT_API_KEY_NEXT"),
        ({"OIDC_ISSUER": "https://id.example.com"}, "OIDC_AUDIENCE"),
        ({"OIDC_AUDIENCE": "meetai"}, "OIDC_AUDIENCE"),
        ({"OIDC_ISSUER": "http://id.example.com", "OIDC_AUDIENCE": "meetai"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "http://127.0.0.1.evil.org", "OIDC_AUDIENCE": "meetai"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "https://id.example.com/?x=1", "OIDC_AUDIENCE": "meetai"}, "OIDC_ISSUER"),
        ({"TRUSTED_PROXIES": "*"}, "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES"),
        ({"RATE_LIMIT_KEY": "0"}, "RATE_LIMIT_KEY"),
        ({"REDIS_URL": "http://127.0.0.1"}, "REDIS_URL"),
        ({"TOKEN_TTL_SECONDS": "21601"}, "TOKEN_TTL_SECONDS"),
    ],
)
def test_setting_is_named_when_it_is_too_wide(wrong: dict[str, str], named: str) -> None:
    """A wildcard with credentials, part of a name as a wildcard, what isn't an origin, tokens over 6 hours."""
    with pytest.raises(SettingsError) as refusal:
        load(TokenSettings, {**GOOD, **wrong})
    assert [problem.partition(":")[0] for problem in refusal.value.problems] == [named]
