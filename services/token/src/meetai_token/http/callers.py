"""Who is calling: 401 for whoever can't be told, 429 for whoever asks too often. What they may do is for the policy to say."""

from __future__ import annotations

import ipaddress
import math
from typing import Final

from litestar.exceptions import NotAuthorizedException
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from meetai_servicekit.auth import ServiceKeys, bearer_token, unauthorised
from meetai_token.domain.limits import Quota, Quotas, TooManyRequestsError
from meetai_token.domain.policy import Caller, caller_of_key
from meetai_token.ports import Limits, People

MAX_CREDENTIAL_BYTES: Final = 8192
"""Identity providers' tokens with many groups in them take 6 KiB; ours and LiveKit's less than one."""


class Callers:
    """Tells them apart, and counts them: a service key by its name, people by who they are and by where they come from."""

    def __init__(self, keys: ServiceKeys, people: People | None, limits: Limits, quotas: Quotas) -> None:
        """Without `people` service keys alone are known."""
        self._keys = keys
        self._by_key = {key.digest: caller_of_key(key.name, key.scopes) for key in keys.keys}
        self._people = people
        self._limits = limits
        self._quotas = quotas

    def middleware(self) -> Middleware:
        """What leaves the `Caller` in `scope["auth"]` before anything else of a request is looked at.

        No guard, since those cost a copy of their route at every request.
        """

        def around(app: ASGIApp) -> ASGIApp:
            async def admitted(scope: Scope, receive: Receive, send: Send) -> None:
                scope["auth"] = await self._known(scope)
                await app(scope, receive, send)

            return admitted

        return around

    async def _known(self, scope: Scope) -> Caller:
        try:
            credential = bearer_token(scope, max_bytes=MAX_CREDENTIAL_BYTES)
        except NotAuthorizedException:
            await self._count(self._quotas.address, address_of(scope))
            raise
        key = self._keys.holder_of(credential)
        if key is not None:
            await self._count(self._quotas.key, key.name)
            return self._by_key[key.digest]
        await self._count(self._quotas.address, address_of(scope))
        caller = await self._people.caller_of(credential) if self._people is not None else None
        if caller is None:
            raise unauthorised()
        await self._count(self._quotas.person, caller.name)
        return caller

    async def _count(self, quota: Quota, subject: str) -> None:
        wait_seconds = await self._limits.take(quota, subject)
        if wait_seconds is not None:
            raise TooManyRequestsError(quota, max(math.ceil(wait_seconds), 1))


def address_of(scope: Scope) -> str:
    """Where a request comes from. A household or host has 2^64 addresses of IPv6 (RFC 6177), so these count by their network."""
    host = scope["client"][0] if scope["client"] else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host
