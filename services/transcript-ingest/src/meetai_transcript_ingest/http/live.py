"""A transcript as it comes: `GET …/stream`, server-sent events (HTML standard, section 9.2).

Owns the form of the events. An event's id is its line's position, so that a client which connects again goes on after the last
event that it has seen, on whichever replica.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter

from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import InvalidFieldError, UnavailableError
from meetai_transcript_ingest.domain.errors import AheadOfTranscriptError, ErasedError, TooManyFollowersError
from meetai_transcript_ingest.domain.tail import MAX_POSITION, PlacedLine
from meetai_transcript_ingest.http.specification import ERASED, PROBLEMS
from meetai_transcript_ingest.http.streaming import WRITE_TIMEOUT_SECONDS, PiecewiseResponse
from meetai_transcript_ingest.usecases.follow import FollowTranscript, Heard, Over

EVENT_STREAM: Final = "text/event-stream"
RECONNECT_MS: Final = (1_000, 3_000)
"""Clients are told to wait some time between these, so that those of a replica that ends don't come back all at once."""

_POSITION: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_HEARTBEAT: Final = b":\n\n"
_END: Final = b"event: end\ndata: {}\n\n"
_ERASED: Final = b"event: erased\ndata: {}\n\n"
"""With data, because an event without any isn't dispatched (HTML, "Interpreting an event stream"); without an id, so that the last
one stays that of a line."""
_ENCODER: Final = msgspec.json.Encoder()

HeaderId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The id of the last event seen; the stream goes on after it."),
]
QueryId = Annotated[
    str | None,
    QueryParameter(
        description="As the header, which comes first, for clients that can't set it when they first connect."
    ),
]


def live_routes(follow_transcript: FollowTranscript) -> list[HTTPRouteHandler]:
    """The route, below a meeting's path."""

    @get(
        "/stream",
        operation_id="FollowTranscript",
        summary="Follow what is being said",
        description="Server-sent events named `line`, with a line as in the pages as their data, in the order in which they "
        "were stored: from the start, or after `Last-Event-ID`, each once. When all lines have come and the meeting is over (every "
        "agent has closed, and none has come for `COMPLETION_QUIET_SECONDS`), an event named `end` says so, within 15 s; `/integrity` "
        "says whether the transcript is complete. A client that wants no more closes then: the stream stays open, and says it "
        "again to whoever connects again, because a meeting may go on, with lines and another `end`. It "
        "ends after an hour, when the service is stopped, and for a client that doesn't keep up; EventSource then goes on "
        "by itself where it was. When the meeting is erased, an event named `erased` is the last, and whoever connects again is "
        "answered 410. A token is looked at when the stream is opened, as LiveKit looks at it when its holder joins.",
        responses={
            200: ResponseSpec(
                str, generate_examples=False, description="Events, without an end", media_type=EVENT_STREAM
            ),
            **PROBLEMS,
            **ERASED,
        },
    )
    async def stream(
        meeting_id: FromPath[str], last_event_id_header: HeaderId = None, last_event_id: QueryId = None
    ) -> Response[Any]:
        field, given = ("Last-Event-ID", last_event_id_header)
        if not given:
            field, given = ("last_event_id", last_event_id)
        position = _position(field, given)
        try:
            following = await follow_transcript(meeting_id_from_path(meeting_id), position)
        except AheadOfTranscriptError:
            raise InvalidFieldError(field, "is ahead of this transcript; read it from the start") from None
        except TooManyFollowersError:
            raise UnavailableError("A place to follow from", retry_after_seconds=5) from None
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        return PiecewiseResponse(
            _events(following),
            media_type=EVENT_STREAM,
            headers=headers,
            timeout_seconds=WRITE_TIMEOUT_SECONDS,
            ending=follow_transcript.closing,
        )

    return [stream]


def _position(field: str, given: str | None) -> int:
    if not given:
        return 0
    if not _POSITION.fullmatch(given) or int(given) > MAX_POSITION:
        raise InvalidFieldError(field, "is not an id that this stream gave")
    return int(given)


async def _events(following: AsyncGenerator[Heard]) -> AsyncGenerator[bytes]:
    try:
        yield b"retry: %d\n\n" % random.randint(*RECONNECT_MS)  # noqa: S311 - spreads load, guards nothing
        async for heard in following:
            if isinstance(heard, Over):
                yield _END
            else:
                yield b"".join([_event(placed) for placed in heard]) or _HEARTBEAT
    except ErasedError:
        yield _ERASED
    finally:
        await following.aclose()


def _event(placed: PlacedLine) -> bytes:
    """JSON has no line breaks of its own, so the data is one line."""
    return b"id: %d\nevent: line\ndata: %b\n\n" % (placed.position, _ENCODER.encode(placed.line))
