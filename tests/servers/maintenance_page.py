"""A proxy whose upstream is away: it answers whatever it is asked with something of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

PAGE = "<!DOCTYPE html><title>Back soon</title>"


@asynccontextmanager
async def maintenance_page(status: int = 200, text: str = PAGE, content_type: str = "text/html") -> AsyncIterator[str]:
    """Its URL, while the block lasts; by default a page for people, and status 200."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))
