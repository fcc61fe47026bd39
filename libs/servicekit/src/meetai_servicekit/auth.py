"""Service keys: which backend is calling, and what it may do.

Keys are random 256-bit strings, so one round of SHA-256 is enough to store them by (OWASP Password Storage, "when not to
use"): there is nothing to guess. Owns parsing, comparing and the scopes; must not know a service's routes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard, Scope
from msgspec import Struct

MAX_PRESENTED_BYTES: Final = 4096
"""Longer than any key of ours and than usual JWTs of identity providers; a header costs memory before anybody is known."""
_ENTRY: Final = re.compile(r"^([a-z0-9][a-z0-9._-]{0,63}):([0-9a-f]{64}):([a-z]+:[a-z]+(?:\+[a-z]+:[a-z]+)*)$")


class ServiceKey(Struct, frozen=True):
    """One key that is accepted.

    Attributes:
        name: Who holds it; shown in logs.
        digest: SHA-256 of the key.
        scopes: What its holder may do, e.g. `transcripts:read`.
    """

    name: str
    digest: bytes
    scopes: frozenset[str]


class ServiceKeys(Struct, frozen=True):
    """All keys that are accepted; several may be valid at once, for rotation."""

    keys: tuple[ServiceKey, ...]

    @classmethod
    def parse_setting(cls, raw: str) -> ServiceKeys:
        """Read `name:sha256hex:scope+scope`, entries separated by commas.

        Raises:
            ValueError: names the entry by its position, never by its text.
        """
        keys: list[ServiceKey] = []
        for position, entry in enumerate(raw.split(","), 1):
            match = _ENTRY.match(entry.strip())
            if match is None:
                raise ValueError(f"entry {position} must be name:sha256-hex:scope+scope, a scope being word:word")
            name, digest, scopes = match.groups()
            keys.append(ServiceKey(name=name, digest=bytes.fromhex(digest), scopes=frozenset(scopes.split("+"))))
        return cls(keys=tuple(keys))

    def holder_of(self, presented: str) -> ServiceKey | None:
        """The key that was presented, or None. Takes the same time whichever matches, and when none does."""
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
        found: ServiceKey | None = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def new_service_key(name: str, scopes: frozenset[str]) -> tuple[str, str]:
    """Make a key: the secret for its holder, and the entry for `SERVICE_KEYS`."""
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return secret, f"{name}:{digest}:{'+'.join(sorted(scopes))}"


def bearer_token(scope: Scope, *, max_bytes: int = MAX_PRESENTED_BYTES) -> str:
    """The credential of `Authorization: Bearer …` (RFC 6750, section 2.1).

    Raises:
        NotAuthorizedException: absent, of another scheme, or longer than any that we accept.
    """
    scheme, _, credential = authorization(scope).partition(" ")
    if scheme.lower() != "bearer" or not credential or len(credential) > max_bytes:
        raise unauthorised()
    return credential.strip()


def authorization(scope: Scope) -> str:
    """The header's value; "" when there is none. ASGI servers write its name in lower case."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value.decode("latin-1")
    return ""


def unauthorised() -> NotAuthorizedException:
    """401 that says how to authenticate, and nothing about what was wrong."""
    return NotAuthorizedException(
        detail="A valid bearer credential is required.", headers={"WWW-Authenticate": 'Bearer realm="meetai"'}
    )


def requires_scope(keys: ServiceKeys, scope: str) -> Guard:
    """A Litestar guard: 401 without a known key, 403 without the scope. Leaves the key in `scope["auth"]`."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        key = keys.holder_of(bearer_token(connection.scope))
        if key is None:
            raise unauthorised()
        if scope not in key.scopes:
            raise PermissionDeniedException(detail=f"This key lacks the scope {scope}.")
        connection.scope["auth"] = key

    return guard
