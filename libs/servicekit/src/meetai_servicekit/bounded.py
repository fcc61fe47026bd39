"""What a request may take until all of it is there: bytes, and time. uvicorn bounds neither, and a stranger needs no key to begin one.

Owns both bounds, for every route. A route's own, for the body that it reads, are lower.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from meetai_servicekit.joined import JoinedHttp

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

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
    """uvicorn's protocol with these bounds. What is too large is answered 431 while its head arrives, and cut off afterwards.

    Whole requests that came before one that is refused get their answers; the connection ends after the last.
    """

    _began: float | None = None
    """When the request began that isn't whole yet, by the loop's clock."""
    _arrived = 0
    """Bytes of it, but for the read that it began in: what came before it there isn't its own."""
    _in_head = False
    _in_its_first_read = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP has no other kind
        """A client is there. One that says nothing may stay as long as one that has been answered."""
        super().connection_made(transport)
        self._close_in(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone. uvicorn's timer goes with it, or what is left of a reset connection would stay until then."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._began, self._arrived, self._in_head, self._in_its_first_read = self.loop.time(), 0, True, True

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
        self._in_its_first_read = False
        if not self._refused:
            super().data_received(data)
        if self.transport.is_closing():
            return
        if self._began is None:
            self._expect_a_request()
        elif not self._in_its_first_read:
            self._count(len(data))

    def give_up_late(self, now: float) -> None:
        """Close the connection where a request that began isn't whole in time; `now` is by the loop's clock."""
        if self._began is None or self.transport.is_closing():
            return
        if self._is_behind_another():
            self._began = now  # uvicorn may not even read it
        elif now - self._began > ARRIVAL_SECONDS:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered as if it hadn't asked for another protocol (RFC 9110, 7.8); anybody may ask."""

    def _count(self, size: int) -> None:
        self._arrived += size
        if self._arrived > MAX_REQUEST_BYTES:
            self.transport.close()
        elif self._in_head and self._arrived > MAX_HEAD_BYTES and not self._refused:
            self._refuse_head()

    def _refuse_head(self) -> None:
        self._refused = True
        if self._is_behind_another():
            self.cycle.keep_alive = False
            return
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_TOO_LARGE), _TOO_LARGE.encode())
        )
        self.transport.write_eof()
        self._close_in(LINGER_SECONDS)

    def _is_behind_another(self) -> bool:
        """Whether an answer is due before that of the request that isn't whole yet."""
        return self._is_answering() if self._in_head else bool(self.pipeline)

    def _is_answering(self) -> bool:
        known = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return known is not None and not known.response_complete

    def _expect_a_request(self) -> None:
        """Where nothing is under way: uvicorn waits no longer as soon as bytes come, also such as begin nothing."""
        if self.timeout_keep_alive_task is None and not self._is_answering():
            self._close_in(self.timeout_keep_alive)

    def _close_in(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
