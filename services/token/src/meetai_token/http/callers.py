"""Who is calling: 401 for whoever can't be told. What they may do is for the policy to say."""

from __future__ import annotations

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from meetai_servicekit.auth import ServiceKeys, bearer_token, unauthorised
from meetai_token.domain.policy import Caller, caller_of_key
from meetai_token.ports import People

MAX_CREDENTIAL_BYTES: Final = 8192
"""Identity providers' tokens with many groups in them take 6 KiB; ours and LiveKit's less than one."""


def known_caller(keys: ServiceKeys, people: People | None) -> Guard:
    """A guard that leaves the `Caller` in `scope["auth"]`; without `people` service keys alone are known."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        credential = bearer_token(connection, max_bytes=MAX_CREDENTIAL_BYTES)
        caller = await _caller_of(credential)
        if caller is None:
            raise unauthorised()
        connection.scope["auth"] = caller

    async def _caller_of(credential: str) -> Caller | None:
        key = keys.holder_of(credential)
        if key is not None:
            return caller_of_key(key.name, key.scopes)
        return await people.caller_of(credential) if people is not None else None

    return guard
