"""The public keys of an OpenID provider: fetched, kept, and fetched again when a token names one that isn't known.

Owns the provider's two documents (OpenID Connect Discovery 1.0; RFC 7517) and how often they are asked for. Must not decide
whose token is good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import structlog

from meetai_token.domain.errors import CallersUnavailableError

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones alone: with a symmetric one, whoever knows the public key could sign (RFC 8725, section 2.1)."""
MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

FRESH_SECONDS: Final = 600.0
"""A key that its provider has withdrawn is believed for so long."""
STALE_SECONDS: Final = 3600.0
"""And for so long while the provider is away, so that an outage of its own doesn't keep everybody out."""
RETRY_SECONDS: Final = 5.0
"""Whatever key ids callers make up, the provider is asked no more often."""
CALL_TIMEOUT_SECONDS: Final = 0.8
"""Two calls; the caller has an answer within 2 s."""
MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100

log = structlog.get_logger()


class KeySet:
    """The keys of one issuer, by id."""

    def __init__(self, issuer: str, *, session: Callable[[], aiohttp.ClientSession], now: Callable[[], float]) -> None:
        """Nothing is fetched yet; `now` is monotonic, in seconds."""
        self._issuer = issuer
        self._session = session
        self._now = now
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id, if the provider has it.

        Raises:
            CallersUnavailableError: the provider is away, and what is known of its keys is too old, or nothing.
        """
        if self._is_due(key_id):
            async with self._fetching:
                if self._is_due(key_id):  # nobody has asked while we waited
                    await self._fetch()
        if self._fetched_at is None or self._now() - self._fetched_at >= STALE_SECONDS:
            raise CallersUnavailableError
        return self._keys.get(key_id)

    def _is_due(self, key_id: str) -> bool:
        now = self._now()
        if self._tried_at is not None and now - self._tried_at < RETRY_SECONDS:
            return False
        fresh = self._fetched_at is not None and now - self._fetched_at < FRESH_SECONDS
        return not fresh or key_id not in self._keys

    async def _fetch(self) -> None:
        try:
            keys = _usable(await self._document(await self._address()))
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("provider_keys_not_fetched", error=type(error).__name__)
        else:
            self._keys, self._fetched_at = keys, self._now()
            log.info("provider_keys_fetched", keys=len(keys))
        self._tried_at = self._now()  # only now: until then whoever comes waits for this fetch

    async def _address(self) -> str:
        document = await self._document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:  # Discovery, section 4.3
            raise ValueError("another issuer")
        address = str(document.get("jwks_uri"))
        if urlsplit(address).scheme != urlsplit(self._issuer).scheme:
            raise ValueError("keys by another scheme")
        return address

    async def _document(self, url: str) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS)
        async with self._session().get(url, timeout=timeout, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            body = await answer.content.read(MAX_DOCUMENT_BYTES + 1)
            while len(body) <= MAX_DOCUMENT_BYTES and (more := await answer.content.read(MAX_DOCUMENT_BYTES)):
                body += more
        if len(body) > MAX_DOCUMENT_BYTES:
            raise ValueError("too large")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 - a bad document, not a bug
        return document


def _usable(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys that may sign, by id; what else is in the set is left alone (RFC 7517, section 5)."""
    keys: dict[str, jwt.PyJWK] = {}
    listed = document.get("keys")
    for each in listed[:MAX_KEYS] if isinstance(listed, list) else ():
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError, NotImplementedError):  # whatever isn't a key
            continue
        small = key.key_type == "RSA" and key.key.key_size < MIN_RSA_BITS
        if key.algorithm_name in ALGORITHMS and key.public_key_use in {None, "sig"} and key.key_id and not small:
            keys[key.key_id] = key
    return keys
