"""A TCP proxy that cuts connections where it hurts: a request lands, wholly or not at all, and whoever sent it never learns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal, NamedTuple, Self
from urllib.parse import urlsplit

Where = Literal["before", "within", "after"]
"""The server gets nothing of the request, half of what came with it, or all of it; in no case does its answer come back."""


class Cut(NamedTuple):
    """Which requests are cut.

    `request` are bytes of it; `following`, bytes that must have passed on the same connection since the last such request.
    Of every `every` such requests the first is cut, until `times` have been.
    """

    request: bytes
    where: Where
    following: bytes = b""
    every: int = 1
    times: int = 1


class CuttingProxy:
    """Listens on a free port of 127.0.0.1 while its context is open."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.cuts = 0
        self._target = port
        self._cut: Cut | None = None
        self._seen = 0
        self._refusing = False
        self._hanging = False
        self._delay_seconds = 0.0
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

    def cut(self, cut: Cut) -> None:
        """From now on cut these, and no others; `cuts` counts from 0."""
        self._cut, self.cuts, self._seen = cut, 0, 0

    def cut_reply_to(self, request: bytes) -> None:
        """Let the next request that holds these bytes through, and close the connection on its reply."""
        self.cut(Cut(request, "after"))

    def refuse(self, refusing: bool) -> None:
        """Close what is open and everything that comes, as a server does that is away."""
        self._refusing = refusing
        for task in self._tasks if refusing else ():
            task.cancel()

    def hang(self, hanging: bool) -> None:
        """Take requests and answer none, as a server does that is frozen."""
        self._hanging = hanging

    def slow(self, delay_seconds: float) -> None:
        """Hold every answer back for so long, as a server does that is overloaded."""
        self._delay_seconds = delay_seconds

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        silent = asyncio.Event()

        async def forward() -> None:
            passed = b""
            while data := await reader.read(65_536):
                where, passed = self._judge(data, passed)
                if where is not None:
                    silent.set()
                if where != "before":
                    server_writer.write(data[: len(data) // 2] if where == "within" else data)
                if where in {"before", "within"}:
                    break
            server_writer.close()

        async def answer() -> None:
            while data := await server_reader.read(65_536):
                if silent.is_set():
                    break
                await asyncio.sleep(self._delay_seconds)
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

    def _judge(self, data: bytes, passed: bytes) -> tuple[Where | None, bytes]:
        """Where to cut this, and what is to be remembered of the connection."""
        cut = self._cut
        if cut is None:
            return None, b""
        if cut.following and cut.following in data:
            passed = cut.following
        if cut.request not in data or passed != cut.following or self.cuts >= cut.times:
            return None, passed
        self._seen += 1
        if (self._seen - 1) % cut.every:
            return None, b""
        self.cuts += 1
        return cut.where, b""


@contextmanager
def cutting_proxy(url: str) -> Iterator[tuple[CuttingProxy, str]]:
    """A proxy in a thread of its own, before the server of this URL, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cutting proxy")
    thread.start()
    proxy = CuttingProxy(parts.port)
    try:
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(timeout=10)
        try:
            yield proxy, parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        finally:
            asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(timeout=10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
