"""Who is calling: 401 for whoever can't be told, 429 for whoever asks too often. What they may do is for the policy to say."""

from __future__ import annotations

import ipaddress
import math
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.types import BeforeRequestHookHandler

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
        self._people = people
        self._limits = limits
        self._quotas = quotas

    def hook(self) -> BeforeRequestHookHandler:
        """What leaves the `Caller` in `request.auth` before a route is called.

        No guard, since those cost a copy of their route at every request; and a function, since Litestar copies a bound method
        together with all that its object holds.
        """

        async def admit(request: Request[Any, Any, Any]) -> None:
            request.scope["auth"] = await self._known(request)

        return admit

    async def _known(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
        try:
            credential = bearer_token(connection, max_bytes=MAX_CREDENTIAL_BYTES)
        except NotAuthorizedException:
            await self._count(self._quotas.address, address_of(connection))
            raise
        key = self._keys.holder_of(credential)
        if key is not None:
            await self._count(self._quotas.key, key.name)
            return caller_of_key(key.name, key.scopes)
        await self._count(self._quotas.address, address_of(connection))
        caller = await self._people.caller_of(credential) if self._people is not None else None
        if caller is None:
            raise unauthorised()
        await self._count(self._quotas.person, caller.name)
        return caller

    async def _count(self, quota: Quota, subject: str) -> None:
        wait_seconds = await self._limits.take(quota, subject)
        if wait_seconds is not None:
            raise TooManyRequestsError(quota, max(math.ceil(wait_seconds), 1))


def address_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Where a request comes from. A household or host has 2^64 addresses of IPv6 (RFC 6177), so these count by their network."""
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host
