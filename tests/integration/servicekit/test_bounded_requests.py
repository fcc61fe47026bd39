"""What a stranger may send and never finish: nothing grows, and nobody else is held up."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from litestar.types import HTTPRequestEvent, Receive, Scope, Send
from tests.integration.servicekit.tiny_process import Tiny, tiny
from tests.waiting import until
from uvicorn.server import ServerState

from meetai_servicekit import bounded, server
from meetai_servicekit.bounded import MAX_REQUEST_BYTES, BoundedHttp

LINE = b"x-more: " + b"a" * 1000 + b"\r\n"
PATIENCE_SECONDS = 30


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Tiny]:
    with tiny("well", tmp_path) as service:
        service.wait_until(service.is_alive)
        yield service


def sent(connection: socket.socket, data: bytes, *, times: int) -> int:
    """How many of them could be sent before the other side closed."""
    for number in range(times):
        try:
            connection.sendall(data)
        except OSError:
            return number
    return times


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    try:
        while more := connection.recv(65_536):
            received += more
    except ConnectionResetError:
        pass
    return received


def connected(service: Tiny) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS))


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /go HTTP/1.1\r\nhost: x\r\n", LINE),
        (b"GET /go HTTP/1.1\r\nhost: x\r\nx-one: ", b"a" * 1000),
        (b"GET /go?", b"a" * 1000),
    ],
    ids=["fields", "one field", "address"],
)
def test_a_head_without_an_end_is_cut_off(service: Tiny, begin: bytes, piece: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(begin)
        assert sent(connection, piece, times=100_000) < 100_000
    assert service.is_alive()


def test_a_large_head_is_taken(service: Tiny) -> None:
    """As of a token with many claims."""
    with connected(service) as connection:
        connection.sendall(b"GET /go HTTP/1.1\r\nhost: x\r\nconnection: close\r\n")
        assert sent(connection, LINE, times=32) == 32
        connection.sendall(b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("begin", "piece"), [(b"1\r\na\r\n0\r\n", LINE), (b"1;", b"a" * 1000)], ids=["trailers", "an extension"]
)
def test_what_comes_beside_a_body_has_an_end(service: Tiny, begin: bytes, piece: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + begin)
        pieces = 2 * MAX_REQUEST_BYTES // len(piece)
        assert sent(connection, piece, times=pieces + 10_000) < pieces + 10_000
    assert service.is_alive()


def test_an_upgrade_is_a_request_like_another(service: Tiny) -> None:
    """Nothing here speaks anything else, and a stranger fills no log with that."""
    for protocol in (b"websocket", b"h2c"):
        with connected(service) as connection:
            connection.sendall(
                b"GET /go HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: " + protocol + b"\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert service.is_alive()
    assert "upgrade" not in service.log.lower()


class Served:
    """A server in this process, and what it holds."""

    def __init__(self, port: int, state: ServerState) -> None:
        self.port = port
        self.state = state

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answer(self, *pieces: bytes) -> bytes:
        """All that comes until the server closes, where these are sent, each by itself, and nothing after."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE_SECONDS):
            everything = await reader.read()
        writer.close()
        return everything


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Serves in this process; with patience for everything but what a test is about."""
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
    async with AsyncExitStack() as stack:

        async def serve(*, arrival_seconds: float = 60, silent_seconds: int = 60) -> Served:
            monkeypatch.setattr(bounded, "ARRIVAL_SECONDS", arrival_seconds)
            monkeypatch.setattr(bounded, "LINGER_SECONDS", 60.0)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            config = uvicorn.Config(
                app, http=BoundedHttp, log_config=None, timeout_keep_alive=silent_seconds, ws="none", lifespan="off"
            )
            served = server._DrainingServer(config)
            serving = asyncio.create_task(served.serve(sockets=[listener]))

            async def end() -> None:
                served.should_exit = True
                await serving

            stack.push_async_callback(end)
            return Served(listener.getsockname()[1], served.server_state)

        yield serve


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says how large it is, and which headers there are by then; `/slow` not at once, `/unread` before the body."""
    size, more = 0, scope["path"] != "/unread"
    while more:
        message = cast("HTTPRequestEvent", await receive())
        size += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    names = b" ".join(name for name, _ in scope["headers"])
    text = b"answered %d %s\n" % (size, names)
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


GET = b"GET /go HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = GET.replace(b"/go", b"/slow")


@pytest.mark.parametrize("begin", [b"GET /go HTTP/1.1\r\nhost: x\r\n", b"GET /go?"], ids=["fields", "address"])
async def test_a_head_without_an_end_is_refused(serve: Serve, begin: bytes) -> None:
    """Who goes on sending sees it too: closed with bytes unread, the connection would be reset."""
    reader, writer = await (await serve()).connect()
    writer.write(begin)
    for _ in range(2000):
        writer.write(b"x-more: " + b"a" * 1000 + b"\r\n" if begin.endswith(b"\n") else b"a" * 1000)
        await writer.drain()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_trailer_is_no_header(serve: Serve) -> None:
    """It changes nothing about a request, whose answer comes."""
    post = b"POST /go HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    answer = await (await serve()).answer(post, b"0\r\nauthorization: Bearer x\r\n\r\n")
    assert answer.endswith(b"answered 1 host connection transfer-encoding\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"\r\n",),
        (GET, b"\r\n"),
        (b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n", b"body"),
    ],
    ids=["nothing", "a line's end", "a line's end after an answer", "a body after an answer"],
)
async def test_a_connection_that_begins_no_request_is_closed(serve: Serve, pieces: tuple[bytes, ...]) -> None:
    await (await serve(silent_seconds=1)).answer(*pieces)


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /slow HT",
        b"GET /slow HTTP/1.1\r\nhost: x\r\n",
        b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345",
    ],
    ids=["half a line", "half a head", "half a body"],
)
async def test_a_connection_is_closed_when_its_request_does_not_come(serve: Serve, begin: bytes) -> None:
    assert await (await serve(arrival_seconds=0.5)).answer(begin) == b""


async def test_a_connection_is_closed_when_its_request_trickles(serve: Serve) -> None:
    """Each byte in time, and the whole of it never."""
    reader, writer = await (await serve(arrival_seconds=0.5)).connect()
    writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\nx-one: ")

    async def trickle() -> None:
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionResetError):  # where a byte came after the end
            assert await reader.read() == b""
    trickling.cancel()
    writer.close()


async def test_an_answer_may_take_longer_than_its_request(serve: Serve) -> None:
    """And the connection is good for another one."""
    reader, writer = await (await serve(arrival_seconds=0.5)).connect()
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(2):
            writer.write(SLOW)
            assert (await reader.readuntil(b"answered 0 host\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ((b"POST /go HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"a" * 100_000 + b"GET /g", GET[6:]), 2),
        ((GET * 3000 + b"GET /go HTTP/1.1\r\nx: ", b"a\r\n\r\n"), 3001),
    ],
    ids=["a body", "many"],
)
async def test_what_came_before_a_request_is_not_its_own(
    serve: Serve, pieces: tuple[bytes, bytes], answers: int
) -> None:
    """A read holds the end of one and the beginning of the next."""
    received = await (await serve(silent_seconds=1)).answer(*pieces)
    assert (received.count(b"HTTP/1.1 200 "), received.count(b"HTTP/1.1")) == (answers, answers)


@pytest.mark.parametrize(
    "rest",
    [(b"GET /go HT",), (b"GET /go?", b"a" * 200_000, b"a" * 200_000)],
    ids=["one that does not come", "one that is too large"],
)
async def test_an_answer_is_not_lost_by_the_request_after(serve: Serve, rest: tuple[bytes, ...]) -> None:
    """What is wrong with the second is nothing of the first's."""
    received = await (await serve(arrival_seconds=0.3)).answer(SLOW, *rest)
    assert received.endswith(b"answered 0 host\n")
    assert received.count(b"HTTP/1.1") == 1


async def test_nothing_of_a_connection_stays_when_it_is_reset(serve: Serve) -> None:
    """As by a health check of a load balancer's."""
    served = await serve()
    created: list[weakref.ref[BoundedHttp]] = []
    for _ in range(10):
        _, writer = await served.connect()
        await until(lambda: bool(served.state.connections), PATIENCE_SECONDS)
        created += [weakref.ref(cast("BoundedHttp", each)) for each in served.state.connections]
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await until(lambda: not served.state.connections, PATIENCE_SECONDS)
    gc.collect()
    assert [each() for each in created] == [None] * len(created)
