"""People by the tokens of their OpenID provider: JWTs signed with a key that only the provider has.

Owns what of such a token is checked (RFC 8725, JSON Web Token Best Current Practices). Must not log or keep one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import jwt
import structlog
from jwt.types import Options

from meetai_token.adapters.jwks import ALGORITHMS, KeySet
from meetai_token.domain.policy import Caller, caller_of_claims

LEEWAY_SECONDS: Final = 30
"""For clocks that differ."""
TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""`typ` of an access or ID token (RFC 9068, section 2.1); a provider's other tokens, as for logout, have types of their own."""
_OPTIONS: Final[Options] = {"require": ["iss", "sub", "aud", "exp"], "enforce_minimum_key_length": True}

log = structlog.get_logger()


class OidcPeople:
    """The people of one issuer, with tokens for one audience."""

    def __init__(
        self, issuer: str, audience: str, *, meeting_claim: str, role_claim: str, now: Callable[[], float]
    ) -> None:
        """Take the names of the claims that say which meeting, and what role there."""
        self._issuer = issuer
        self._audience = audience
        self._meeting_claim = meeting_claim
        self._role_claim = role_claim
        self._session: aiohttp.ClientSession | None = None
        self._keys = KeySet(issuer, session=self._connected, now=now)

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Callers can be told within the block. Doesn't wait for the provider."""
        async with aiohttp.ClientSession() as self._session:
            yield

    async def caller_of(self, token: str) -> Caller | None:
        """Whose token this is; None for one that isn't good.

        Raises:
            RefusedError: a good token that names no meeting, role or person of ours.
            CallersUnavailableError: the provider's keys can't be had.
        """
        try:
            claims = await self._verified(token)
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            log.info("credential_refused", reason=type(error).__name__)
            return None
        return caller_of_claims(
            claims["sub"], claims.get(self._meeting_claim), claims.get(self._role_claim), claims.get("name")
        )

    async def _verified(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        kind, key_id = header.get("typ"), header.get("kid")
        if not (kind is None or (isinstance(kind, str) and kind.lower() in TYPES)) or "crit" in header:
            raise jwt.InvalidTokenError("another kind of token")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise jwt.InvalidAlgorithmError("not an algorithm or key of ours")
        key = await self._keys.key(key_id)
        if key is None:
            raise jwt.InvalidKeyError("unknown key id")
        # the key's own algorithm: the header may not choose another for it
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options=_OPTIONS,
        )
        if "cnf" in claims:  # bound to a key that this caller hasn't shown (RFC 9449, section 7.2)
            raise jwt.InvalidTokenError("not a bearer token")
        return claims

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("OidcPeople is used outside `connected`")
        return self._session
