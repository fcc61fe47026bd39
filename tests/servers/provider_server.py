"""What the servers that stand in for providers of speech and words have in common: an address, and misbehaving when told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from aiohttp import web

FaultT = TypeVar("FaultT", bound=str)


class ProviderServer(Generic[FaultT]):
    """Listens on a free port of 127.0.0.1 while its context is open.

    Attributes:
        faults: What happens to the next requests, or connections, in order; those after the last go well.
        always: What happens to every one beyond those; for outages.
        base_url: As a provider's plugin takes it.
    """

    def __init__(self, routes: Sequence[web.RouteDef], *, well: FaultT, largest_body: int = 1024**2) -> None:
        self.faults: deque[FaultT] = deque()
        self.always: FaultT = well
        self.base_url = ""
        self._over = asyncio.Event()
        app = web.Application(client_max_size=largest_body)
        app.add_routes(routes)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await self._runner.cleanup()

    def _next_fault(self) -> FaultT:
        return self.faults.popleft() if self.faults else self.always

    async def _hang(self) -> None:
        """Until the test is over."""
        await self._over.wait()
