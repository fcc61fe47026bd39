"""An ASGI application called directly, without the cost of a client."""

from __future__ import annotations

from typing import Any


async def post(app: Any, body: bytes, authorization: bytes) -> int:
    """One request to the ASGI application, without a client's cost; returns the status."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/webhooks/livekit",
        "raw_path": b"/webhooks/livekit",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", authorization), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
        "extensions": {},
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    (status,) = statuses
    return status
