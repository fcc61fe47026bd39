"""A server that speaks the wire format of Inngest's event API, and its ways to fail."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.servers.ports import free_port

HOLD_SECONDS: Final = 60

FAULTS: Final[dict[str, tuple[int, str, bytes]]] = {
    "500": (500, "application/json", b'{"error": "internal"}'),
    "503 without an error": (503, "application/json", b"{}"),
    "429": (429, "application/json", b"{}"),
    "401": (401, "application/json", b'{"error": "Event key not found", "status": 401}'),
    "200 without ids": (200, "application/json", b"{}"),
    "200 with null": (200, "application/json", b"null"),
    "HTML 502": (502, "text/html", b"<html><body>Bad Gateway</body></html>"),
}
"""Answers that mean that nothing was taken."""
CUT: Final = "cut after accepting"
HOLD: Final = "hold"
"""Accepts, and answers when it is released; cut off if that takes long or the server stops."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    """The default of 5 drops the connections of a batch, which come again after a second."""
    stub: InngestStub

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that break: tests kill their other ends."""


class InngestStub:
    """Takes events on a port that stays the same; `faults` are used up one a request."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.faults: deque[str] = deque()
        self.fault_forever: str | None = None
        self.release = threading.Event()
        self._server: _Server | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ids(self) -> list[str]:
        """The id of every event taken, as often as it was taken."""
        return [event["id"] for event in self.taken]

    @property
    def is_stopped(self) -> bool:
        return self._server is None

    def start(self) -> None:
        self.release.clear()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.stub = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def clear(self) -> None:
        """Take everything from now on, and forget what was taken."""
        self.faults.clear()
        self.fault_forever = None
        self.taken.clear()
        self.paths.clear()

    def release_soon(self) -> None:
        """Answer in half a second what is held."""
        threading.Timer(0.5, self.release.set).start()

    def stop(self) -> None:
        """Away: connections are refused, and those that are open are cut when something comes."""
        server, self._server = self._server, None
        self.release.set()
        if server is not None:
            server.shutdown()
            server.server_close()

    def next_fault(self, path: str) -> str | None:
        self.paths.append(path)
        return self.faults.popleft() if self.faults else self.fault_forever


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        stub = server.stub
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if stub.is_stopped:  # its listener is closed, connections that were open aren't
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        fault = stub.next_fault(self.path)
        if fault in FAULTS:
            self._answer(*FAULTS[fault])
            return
        events = json.loads(body)
        stub.taken.extend(events)
        if fault == HOLD and (not stub.release.wait(HOLD_SECONDS) or stub.is_stopped):
            fault = CUT
        if fault == CUT:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        ids = [f"01TAKEN{number}" for number, _ in enumerate(events)]
        self._answer(200, "application/json", json.dumps({"ids": ids, "status": 200}).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""
