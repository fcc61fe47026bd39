"""Handlers that are called without the framework between: for the routes that are asked most.

Litestar declares such a route, describes it in the OpenAPI document, finds it and answers its errors, as all others. What it does
in between for any kind of handler there may be costs 40 µs a request, where the rest of it costs 5 (ADR 0072). `called_directly`
stands in for that part, and calls the same function with the same arguments: without it the route works alike, and slower.

Owns reading a body, decoding it, and writing the answer. Must not know any route.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from meetai_contracts.codec import decode_json
from meetai_servicekit.problems import InvalidFieldError

BODY_SECONDS: Final = 5.0
"""For a body to arrive whole. Callers' bodies come with the head; 32 KiB take a second at 256 kbit/s."""


class _ClientGoneError(Exception):
    """Nobody waits for the answer."""


def called_directly(app: ASGIApp) -> ASGIApp:  # noqa: ARG001 - that is what it stands in for
    """Middleware of one handler (`middleware=[called_directly]`), innermost: calls it by itself.

    The handler is an async function of any of: path parameters of type `str`, `data` (a JSON body of its type), `body` (the raw
    one) and `scope`. It returns a Struct, which becomes JSON, or None. Status and headers are those of its declaration.

    The application answers: `ContractError` or `InvalidFieldError` as 400, 408 when the body doesn't arrive within
    `BODY_SECONDS`, 413 when it is larger than the route takes.
    """
    call: _Call | None = None

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal call
        if call is None:  # all layers that declare something about the handler are known by its first request
            handler = scope["route_handler"]
            assert isinstance(handler, HTTPRouteHandler)  # noqa: S101 - routes of other kinds have other middleware
            call = _Call(handler)
        await call(scope, receive, send)

    return answer


class _Call:
    """How one handler is called."""

    def __init__(self, handler: HTTPRouteHandler) -> None:
        parameters = handler.parsed_fn_signature.parameters
        self._function = handler.fn
        self._max_bytes = handler.resolve_request_max_body_size() or 0
        self._data = parameters["data"].annotation if "data" in parameters else None
        self._reads_body = "body" in parameters
        self._sees_scope = "scope" in parameters
        self._path_parameters = [name for name in parameters if name not in {"data", "body", "scope"}]
        self._status = handler.status_code
        self._headers = [
            (header.name.lower().encode(), str(header.value).encode()) for header in handler.resolve_response_headers()
        ]
        self._json_headers = [*self._headers, (b"content-type", b"application/json")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope["path_params"]
        arguments: dict[str, Any] = {name: found[name] for name in self._path_parameters}
        if self._data is not None or self._reads_body:
            try:
                body = await self._body(receive)
            except _ClientGoneError:
                return
            if self._reads_body:
                arguments["body"] = body
            if self._data is not None:
                if not body:
                    raise InvalidFieldError("", "a JSON body is required")
                arguments["data"] = decode_json(body, self._data, max_bytes=self._max_bytes)
        if self._sees_scope:
            arguments["scope"] = scope
        await self._send(await self._function(**arguments), send)

    async def _send(self, answer: msgspec.Struct | None, send: Send) -> None:
        content, headers = (b"", self._headers) if answer is None else (msgspec.json.encode(answer), self._json_headers)
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": self._status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    async def _body(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                parts, size, more = [], 0, True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _ClientGoneError
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._max_bytes:
                        raise RequestEntityTooLarge
                    more = message.get("more_body", False)
        except TimeoutError:
            raise HTTPException(status_code=408, detail="The body did not arrive in time.") from None
        return parts[0] if len(parts) == 1 else b"".join(parts)
