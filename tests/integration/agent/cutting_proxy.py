"""A TCP proxy that can swallow what a server answers: a request lands, and whoever sent it never learns."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Listens on a free port of 127.0.0.1 while its context is open."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._cut_on = b""
        self._refusing = False
        self._hanging = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_reply_to(self, request: bytes) -> None:
        """Let the next request that holds these bytes through, and close the connection on its reply."""
        self._cut_on = request

    def refuse(self, refusing: bool) -> None:
        """Close what is open and everything that comes, as a server does that is away."""
        self._refusing = refusing
        for task in self._tasks if refusing else ():
            task.cancel()

    def hang(self, hanging: bool) -> None:
        """Take requests and answer none, as a server does that is frozen."""
        self._hanging = hanging

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        cut = asyncio.Event()

        async def forward() -> None:
            while data := await reader.read(65_536):
                if self._cut_on and self._cut_on in data:
                    self._cut_on = b""
                    cut.set()
                server_writer.write(data)
            server_writer.close()

        async def answer() -> None:
            while data := await server_reader.read(65_536):
                if cut.is_set():
                    break
                if not self._hanging:
                    writer.write(data)
            writer.close()

        forwarding = asyncio.create_task(forward())
        try:
            with suppress(ConnectionError):
                await answer()
        finally:
            forwarding.cancel()
            for each in (writer, server_writer):
                each.close()
            self._tasks.discard(task)
