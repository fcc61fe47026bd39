"""Serve an ASGI application until SIGTERM, and say with the exit code how it went.

Owns the socket and the signals. Exit codes: 0 after SIGTERM or SIGINT, 1 when the application failed, 2 when the address
couldn't be had.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
import uvicorn
from litestar.types import ASGIApp

from meetai_servicekit.background import ProcessFate
from meetai_servicekit.bounded import BoundedHttp
from meetai_servicekit.settings import EXIT_BAD_SETTINGS

GRACEFUL_SECONDS: Final = 10
"""Open requests get this long at SIGTERM; Kubernetes' default grace period is 30 s."""
BACKLOG: Final = 2048
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the 60 s after which usual load balancers drop an idle connection, so that they close first."""

STALLED_SECONDS: Final = 30.0
"""A closed connection whose peer takes none of its last bytes for so long is given up. TCP itself would keep it for ever, and
its buffer: the peer is there, and acknowledges that its window is shut."""
STALLED_AT_END_SECONDS: Final = 2.0
"""The same at SIGTERM, so that one such peer doesn't hold up the process for `GRACEFUL_SECONDS`."""
SWEEP_SECONDS: Final = 0.5

log = structlog.get_logger()


Drain = Callable[[], Awaitable[None]]


class _DrainingServer(uvicorn.Server):
    """Goes on answering while what the process does beside HTTP comes to its end, and lets nobody hold that up."""

    drain: Drain | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # all that is here stays; to search it for garbage again and again costs requests their time

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        sweeping = [
            asyncio.create_task(self._give_up_stalled(), name="give up stalled connections"),
            asyncio.create_task(self._give_up_late(), name="give up late requests"),
        ]
        try:
            await super()._serve(sockets)
        finally:
            for task in sweeping:
                task.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.drain is not None:
            await self.drain()
        await super().shutdown(sockets)

    async def _give_up_stalled(self) -> None:
        """Abort closed connections that don't come to their end, because nothing of what they still hold is taken."""
        since: dict[object, tuple[int, float]] = {}
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            patience = STALLED_AT_END_SECONDS if self.should_exit else STALLED_SECONDS
            closing = [known.transport for known in self.server_state.connections if known.transport.is_closing()]
            left = {transport: transport.get_write_buffer_size() for transport in closing}
            since = {
                transport: since[transport] if since.get(transport, (-1, now))[0] == size else (size, now)
                for transport, size in left.items()
            }
            for transport in closing:
                if now - since[transport][1] >= patience:
                    transport.abort()

    async def _give_up_late(self) -> None:
        """Close connections on which a request doesn't come to its end."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for known in list(self.server_state.connections):
                if isinstance(known, BoundedHttp):
                    known.give_up_late(loop.time())


def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    fate: ProcessFate,
    drain: Drain | None = None,
    trusted_proxies: Sequence[str] = (),
) -> int:
    """Run until SIGTERM or SIGINT; returns the process's exit code.

    Args:
        app: What answers.
        host: Address to listen on.
        port: TCP port.
        fate: Whether work beside the server has failed.
        trusted_proxies: Addresses or networks whose `X-Forwarded-For` says where a request comes from.
        drain: Awaited at the signal, while requests are still answered.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        sys.stderr.write(f"PORT: can't listen on {host}:{port} ({error.strerror}); set PORT or HOST\n")
        return EXIT_BAD_SETTINGS
    server = _DrainingServer(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),  # by default uvicorn believes whoever calls from this machine
            forwarded_allow_ips=list(trusted_proxies),
            lifespan="on",
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    server.drain = drain
    # Ours counts before uvicorn has its own, and after, when uvicorn raises the signal again: the process then ends with a
    # code of its own.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    log.info("service_starting", host=host, port=port)
    with listener, suppress(SystemExit):  # uvicorn's way out when start-up fails; ours are the codes above
        server.run(sockets=[listener])
    failed = fate.failed or not server.started
    log.info("service_stopped", failed=failed)
    return 1 if failed else 0
