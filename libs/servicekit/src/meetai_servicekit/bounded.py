"""What a request may take until all of it is there: bytes, and time. uvicorn bounds neither, and a stranger needs no key to begin one.

Owns both bounds, for every route. A route's own, for the body that it reads, are lower.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from meetai_servicekit.joined import JoinedHttp

MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and header fields. A token with many claims takes 8 KiB, and proxies' usual limits are 8 to 32 KiB."""
MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""With the body, and what else may come beside it: chunks' extensions, trailers. No route takes half as much."""
ARRIVAL_SECONDS: Final = 30.0
"""From a request's first byte to its last."""
LINGER_SECONDS: Final = 2.0
"""What still comes after a refusal is taken and dropped for so long. Closed with bytes unread, TCP resets the connection, and the
client never sees why."""

_TOO_LARGE: Final = "The request's header fields are too large."
_DROPPED: Final[deque[tuple[bytes, bytes]]] = deque(maxlen=0)


class BoundedHttp(JoinedHttp):
    """uvicorn's protocol with these bounds. What is too large is answered 431 while its head arrives, and cut off afterwards."""

    _began: float | None = None
    """When the request began that isn't whole yet, by the loop's clock."""
    _arrived = 0
    _in_head = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP has no other kind
        """A client is there. One that says nothing may stay as long as one that has been answered."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._began, self._arrived, self._in_head = self.loop.time(), 0, True

    def on_headers_complete(self) -> None:
        """The head is there. Fields that come after the body mean nothing to anybody, and aren't kept."""
        super().on_headers_complete()
        self._in_head = False
        self.headers = _DROPPED  # type: ignore[assignment]  # appended to, and never looked at again

    def on_message_complete(self) -> None:
        """All of it is there."""
        super().on_message_complete()
        self._began = None

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if not self._refused:
            super().data_received(data)
        if self._began is None or self.transport.is_closing():
            return
        self._arrived += len(data)
        if self._arrived > MAX_REQUEST_BYTES:
            self.transport.close()
        elif self._in_head and self._arrived > MAX_HEAD_BYTES and not self._refused:
            self._refuse_head()

    def give_up_late(self, now: float) -> None:
        """Close the connection where a request that began isn't whole in time; `now` is by the loop's clock."""
        if self._began is not None and now - self._began > ARRIVAL_SECONDS and not self.transport.is_closing():
            self.transport.close()

    def _refuse_head(self) -> None:
        self._refused = True
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_TOO_LARGE), _TOO_LARGE.encode())
        )
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
