"""Who is calling: 401 for whoever can't be told. What they may do is for the policy to say."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from meetai_servicekit.auth import ServiceKeys, bearer_token, unauthorised
from meetai_token.domain import caller_of_key


def known_caller(keys: ServiceKeys) -> Guard:
    """A guard that leaves the `Caller` in `scope["auth"]`."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        key = keys.holder_of(bearer_token(connection))
        if key is None:
            raise unauthorised()
        connection.scope["auth"] = caller_of_key(key.name, key.scopes)

    return guard
