"""How often a provider is asked for its keys, and which of what it says is believed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from meetai_token.adapters import jwks
from meetai_token.adapters.jwks import KeySet
from meetai_token.domain.errors import CallersUnavailableError

ISSUER = "https://id.example.com"
EC_KEY = {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": "ec"}


def rsa_key(bits: int) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)


class Provider(KeySet):
    """A key set whose provider is a dictionary."""

    def __init__(self) -> None:
        super().__init__(ISSUER, session=lambda: pytest.fail("no network here"), now=lambda: self.seconds)
        self.seconds = 100.0
        self.asked = 0
        self.discovery: dict[str, Any] = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        self.keys: Any = [EC_KEY]

    async def _document(self, url: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        if url.endswith("openid-configuration"):
            self.asked += 1
            return self.discovery
        assert url == f"{ISSUER}/jwks"
        return {"keys": self.keys}


async def test_provider_is_asked_once_when_many_callers_come_at_once() -> None:
    """The others wait for that one answer."""
    provider = Provider()
    keys = await asyncio.gather(*(provider.key("ec") for _ in range(50)))
    assert provider.asked == 1
    assert {key.key_id for key in keys if key} == {"ec"}


async def test_provider_is_asked_seldom_when_key_ids_are_made_up() -> None:
    """Once an interval, however many; a key that is known isn't held up by it."""
    provider = Provider()
    for number in range(10):
        assert await provider.key(f"made-up-{number}") is None
    assert provider.asked == 1
    provider.seconds += jwks.RETRY_SECONDS
    for number in range(10):
        assert await provider.key(f"made-up-{number}") is None
    assert provider.asked == 2
    assert await provider.key("ec") is not None
    assert provider.asked == 2


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example.com", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": ISSUER, "jwks_uri": "http://id.example.com/jwks"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER},
        {},
    ],
)
async def test_no_key_is_believed_when_the_discovery_document_is_wrong(discovery: dict[str, Any]) -> None:
    """Another issuer's, or keys that anybody on the way could exchange."""
    provider = Provider()
    provider.discovery = discovery
    with pytest.raises(CallersUnavailableError):
        await provider.key("ec")


@pytest.mark.parametrize(
    "unusable",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "RS256"},
        {**EC_KEY, "kid": "x", "use": "enc"},
        {**EC_KEY, "kid": "x", "alg": "HS256"},
        {**EC_KEY, "kid": "x", "alg": "none"},
        {**rsa_key(1024), "kid": "x"},
        {"kty": "RSA", "kid": "x"},
        {"kid": "x"},
        "x",
        None,
        7,
    ],
)
async def test_key_is_left_alone_when_it_is_not_one_to_verify_with(unusable: Any) -> None:
    """Symmetric, for encryption, too short, broken, or nothing of the kind; the others of the set are used."""
    provider = Provider()
    provider.keys = [unusable, EC_KEY]
    assert await provider.key("x") is None
    assert await provider.key("ec") is not None


@pytest.mark.parametrize("keys", [None, {}, "keys", 7])
async def test_set_is_empty_when_it_is_no_list(keys: Any) -> None:
    """And no failure of ours."""
    provider = Provider()
    provider.keys = keys
    assert await provider.key("ec") is None
