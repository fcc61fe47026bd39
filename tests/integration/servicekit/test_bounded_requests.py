"""What a stranger may send and never finish: nothing grows, and nobody else is held up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import uvicorn
from litestar import Litestar, get, post
from tests.integration.servicekit.tiny_process import Tiny, tiny

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
def test_a_head_without_an_end_is_refused(service: Tiny, begin: bytes, piece: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(begin)
        assert sent(connection, piece, times=100_000) < 100_000
    with connected(service) as connection:
        connection.sendall(begin)
        assert sent(connection, piece, times=2000) == 2000
        assert answer(connection).startswith(b"HTTP/1.1 431 "), "is seen by who went on sending"
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


def test_a_trailer_is_no_header(service: Tiny) -> None:
    """It changes nothing about a request, whose answer comes."""
    with connected(service) as connection:
        connection.sendall(b"GET /go HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\na\r\n0\r\nauthorization: Bearer x\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_a_websocket_is_a_request_like_another(service: Tiny) -> None:
    """Nothing here speaks it."""
    with connected(service) as connection:
        connection.sendall(
            b"GET /go HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert service.is_alive()


@get("/slow")
async def slow() -> str:
    await asyncio.sleep(1)
    return "answered"


@post("/body")
async def body(data: str) -> str:
    return data


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server in this process, with less patience."""
    monkeypatch.setattr(bounded, "ARRIVAL_SECONDS", 0.5)
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = Litestar([slow, body])
        served = server._DrainingServer(
            uvicorn.Config(app, http=BoundedHttp, log_config=None, timeout_keep_alive=1, ws="none")
        )
        serving = asyncio.create_task(served.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        served.should_exit = True
        await serving


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /slow HT",
        b"GET /slow HTTP/1.1\r\nhost: x\r\n",
        b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_a_connection_is_closed_when_its_request_does_not_come(port: int, begin: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.read() == b""
    writer.close()


async def test_a_connection_is_closed_when_its_request_trickles(port: int) -> None:
    """Each byte in time, and the whole of it never."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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


async def test_an_answer_may_take_longer_than_its_request(port: int) -> None:
    """And the connection is good for another one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(2):
            writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"answered")).startswith(b"HTTP/1.1 200 ")
    writer.close()
