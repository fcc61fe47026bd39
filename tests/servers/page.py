"""A web page for a browser, with the files that it loads. Must not know what it shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class PageServer:
    """Answers `GET` with the page or one of its files, and `POST` of JSON by what the test says.

    Args:
        files: By their path on the server, JavaScript all of them.
        html: Makes the page.
        on_post: Takes a path and a body, returns what is answered.
    """

    def __init__(
        self, files: Mapping[str, Path], html: Callable[[], str], on_post: Callable[[str, Any], Any] | None = None
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path in files:
                    self._send("text/javascript", files[self.path].read_bytes())
                else:
                    self._send("text/html", html().encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send("application/json", json.dumps(on_post and on_post(self.path, body)).encode())

            def log_message(self, *_: object) -> None:
                """Nothing: tokens are in what is said here."""

            def _send(self, kind: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def origin(self) -> str:
        """`localhost`, which browsers trust with a microphone."""
        return f"http://localhost:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """It answers until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, name="page")
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join(timeout=10)
            self._server.server_close()
