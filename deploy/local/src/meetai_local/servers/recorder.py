"""A recorder that stands in where no Inngest server can be had: it takes events from the SDK, keeps them, and runs functions.

It speaks the wire format of the event API (inngest 0.5.19, `Inngest.send`: `POST /e/{key}`, 200 with as many ids as
events) and of reading events back (`GET /v1/events?name=`), and keeps every event, also a repeated id, as the real dev
server does. How it runs functions (`POST /fn/register`; `GET /runs`) and which it can't, see `function_runner`. It calls itself a
recorder wherever it shows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from meetai_local.servers.function_runner import FunctionRunner, Registration

SERVER_NAME = "meetai-event-recorder"
MAX_BODY_BYTES = 3 * 1024 * 1024  # the dev server answers 400 above it
EVENTS_FILE = "events.jsonl"
_SEND_PATH = re.compile(r"^/e/[^/]+$")


class BadRequestError(ValueError):
    """The sender must change something; answered with 400."""


class SentEvent(Struct, frozen=True, kw_only=True):
    """An event as the SDK posts it."""

    name: str
    id: str = ""
    data: dict[str, Any] = {}
    user: dict[str, Any] = {}
    ts: int = 0
    v: str | None = None


class RecordedEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the file: the event, and when it came."""

    internal_id: str
    received_at: dt.datetime
    id: str
    name: str
    data: dict[str, Any]
    ts: int


class EventFile:
    """The events on disk, one JSON line each. A line is written in one call, so that a kill leaves whole lines."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / EVENTS_FILE
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, body: bytes) -> list[RecordedEvent]:
        """Keep the events of one request; as they are kept.

        Raises:
            BadRequestError: It isn't JSON, or an event has no name; nothing was kept.
        """
        try:
            raw = msgspec.json.decode(body)
            sent = msgspec.convert(raw if isinstance(raw, list) else [raw], list[SentEvent])
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequestError(str(error)) from error
        if not all(event.name for event in sent):
            raise BadRequestError("event name is empty")
        now = dt.datetime.now(dt.UTC)
        with self._lock:
            recorded = [
                RecordedEvent(
                    internal_id=(
                        internal_id := f"{int(now.timestamp() * 1000):013d}-{os.getpid()}-{next(self._numbers)}"
                    ),
                    received_at=now,
                    id=event.id or internal_id,
                    name=event.name,
                    data=event.data,
                    ts=event.ts or int(now.timestamp() * 1000),
                )
                for event in sent
            ]
            os.write(self._descriptor, b"".join(msgspec.json.encode(event) + b"\n" for event in recorded))
        return recorded

    def named(self, name: str | None) -> list[RecordedEvent]:
        """The events of that name (all, if None), oldest first."""
        events = (msgspec.json.decode(line, type=RecordedEvent) for line in self._path.read_bytes().splitlines())
        return [event for event in events if name in {None, event.name}]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = SERVER_NAME
    sys_version = ""
    timeout = 30
    events: EventFile
    functions: FunctionRunner

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self.rfile.read(min(length, 4 * MAX_BODY_BYTES))  # so that the sender gets to read the answer
            self._answer(400, {"error": f"more than {MAX_BODY_BYTES} bytes", "status": 400})
            return
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        try:
            if path == "/fn/register":
                self.functions.register(msgspec.json.decode(body, type=Registration))
                self._answer(200, {"ok": True, "modified": True})
            elif _SEND_PATH.match(path):
                kept = self.events.add(body)
                self.functions.start(kept)
                self._answer(200, {"ids": [event.internal_id for event in kept], "status": 200})
            else:
                self._answer(404, {"error": "this is a recorder: it takes POST /e/{key}", "status": 404})
        except (BadRequestError, msgspec.DecodeError) as error:
            self._answer(400, {"error": str(error), "status": 400})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = parse_qs(url.query).get("name", [None])[0]
        if url.path == "/health":
            self._answer(200, {"status": 200, "message": "OK", "kind": "recorder"})
        elif url.path == "/events":
            self._answer(200, self.events.named(name))
        elif url.path == "/runs":
            self._answer(200, list(self.functions.runs))
        elif url.path == "/v1/events":  # newest first and in an envelope, as Inngest's REST API has it
            self._answer(200, {"data": self.events.named(name)[::-1]})
        else:
            self._answer(404, {"error": "this is a recorder: GET /events?name=", "status": 404})

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log what is sent, not who looks."""
        if self.command == "POST":
            super().log_request(code, size)

    def _answer(self, status: int, body: object) -> None:
        content = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def serve(port: int, folder: Path, *, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A recorder; the caller runs `serve_forever`."""
    handler = type("Handler", (_Handler,), {"events": EventFile(folder), "functions": FunctionRunner()})
    return ThreadingHTTPServer((host, port), handler)


def main() -> None:
    """Run the recorder until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="another only within a container")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.folder, host=arguments.host).serve_forever()


if __name__ == "__main__":
    main()
