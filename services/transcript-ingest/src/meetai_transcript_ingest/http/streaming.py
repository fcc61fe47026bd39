"""Responses that are written piece by piece, to clients that keep up.

Owns the bound on a slow client: a piece is made when the one before it is on its way, and a client that takes nothing for
`WRITE_TIMEOUT_SECONDS` is cut off. A response that can't be finished ends without its last chunk, so that the client knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

WRITE_TIMEOUT_SECONDS: Final = 30.0
"""TCP sends a lost packet again after 1, 2, 4, 8 and 16 s (RFC 6298): a link that is worse than that is gone."""

ENDING_SECONDS: Final = 1.0
"""At SIGTERM a client that reads gets its last chunk in milliseconds; one that doesn't must not hold up the process."""


class PiecewiseResponse(Response[bytes]):
    """A 200 whose body is made while it is sent.

    Args:
        pieces: The body.
        media_type: Taken as it is, with its parameters.
        headers: The others.
        timeout_seconds: For how long the client may take nothing.
        ending: Set when the body is about to end by itself, and is cut off if it doesn't.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        *,
        media_type: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        ending: asyncio.Event | None = None,
    ) -> None:
        super().__init__(b"", media_type=media_type, headers={"Content-Type": media_type, **headers})
        self._pieces = pieces
        self._timeout_seconds = timeout_seconds
        self._ending = ending

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **defaults: Any) -> ASGIResponse:  # noqa: ARG002 - Litestar's signature
        """See `Response.to_asgi_response`; a router's defaults don't apply."""
        return _Writing(self._pieces, self.headers, self._timeout_seconds, self._ending)


class _Writing(ASGIResponse):
    _should_set_content_length = False

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        headers: dict[str, Any],
        timeout_seconds: float,
        ending: asyncio.Event | None,
    ) -> None:
        super().__init__(headers=headers)
        self._pieces = pieces
        self._timeout_seconds = timeout_seconds
        self._ending = ending or asyncio.Event()

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Write until the body or the client has ended."""
        writing = asyncio.create_task(self._write(send), name="write response")
        gone = asyncio.create_task(_disconnected(receive), name="watch client")
        ending = asyncio.create_task(self._ended(), name="watch end")
        tasks = {writing, gone, ending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _ended(self) -> None:
        """Returns some time after everything is to end; whatever can end by itself has done so by then."""
        await self._ending.wait()
        await asyncio.sleep(ENDING_SECONDS)

    async def _write(self, send: Send) -> None:
        async with aclosing(self._pieces):
            async for piece in self._pieces:
                if piece:
                    await self._send(send, piece, more_body=True)
        await self._send(send, b"", more_body=False)

    async def _send(self, send: Send, body: bytes, *, more_body: bool) -> None:
        async with asyncio.timeout(self._timeout_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
