"""Where a backend asks what became of a meeting's events, and has them delivered again.

Owns paths and status codes. Keys need `events:read`, and `events:replay` to deliver again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter

from meetai_contracts.api import EventState, LedgerEntry, LedgerPage
from meetai_contracts.ledger import MeetingLife, Replayed, ReplayRequest
from meetai_servicekit.auth import ServiceKey, ServiceKeys, requires_scope
from meetai_servicekit.paths import id_from_path, id_from_query, meeting_id_from_path
from meetai_servicekit.problems import (
    InvalidFieldError,
    UnavailableError,
    from_http_exception,
    from_invalid_field,
    from_unavailable,
    keyed_problems,
)
from meetai_webhook_bridge.domain.errors import NoSuchEventError, StoreAwayError, UnreplayableEventError
from meetai_webhook_bridge.http.webhooks import MAX_WEBHOOK_BYTES
from meetai_webhook_bridge.ports import LedgerQuery
from meetai_webhook_bridge.usecases.replay import BadCursorError, ReplayEvents, position

READ_SCOPE: Final = "events:read"
REPLAY_SCOPE: Final = "events:replay"
_READ_PROBLEMS: Final = keyed_problems(READ_SCOPE, {})

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Most events to return.")]
Cursor = Annotated[str | None, QueryParameter(max_length=20, description="`next` of the page before.")]
InState = Annotated[EventState | None, QueryParameter(name="state", description="Only events in this state.")]
Name = Annotated[str | None, QueryParameter(max_length=110, description="Only events of this name.")]
RoomSid = Annotated[str | None, QueryParameter(name="roomSid", max_length=256, description="Only events of this room.")]
ReceivedFrom = Annotated[
    datetime | None, QueryParameter(name="from", description="Only events received then or later.")
]
ReceivedBefore = Annotated[datetime | None, QueryParameter(name="before", description="Only events received earlier.")]


def ledger_routes(replay: ReplayEvents, keys: ServiceKeys) -> Router:
    """Everything under `/v1`."""
    reads, replays = [requires_scope(keys, READ_SCOPE)], [requires_scope(keys, REPLAY_SCOPE)]
    ledger = replay.ledger

    @get("/events", guards=reads, summary="List events, newest first", responses=_READ_PROBLEMS)
    async def list_events(
        *,
        in_state: InState = None,
        name: Name = None,
        room_sid: RoomSid = None,
        received_from: ReceivedFrom = None,
        received_before: ReceivedBefore = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> LedgerPage:
        query = LedgerQuery(
            limit=limit,
            state=in_state,
            name=id_from_query(name, "name"),
            room_sid=id_from_query(room_sid, "roomSid"),
            received_from=_in_utc(received_from),
            received_before=_in_utc(received_before),
            before=position(cursor),
        )
        return await ledger.page(query)

    @get(
        "/meetings/{meeting_id:str}/events",
        guards=reads,
        summary="List a meeting's events, newest first",
        responses=_READ_PROBLEMS,
    )
    async def list_meeting_events(
        meeting_id: FromPath[str],
        in_state: InState = None,
        name: Name = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> LedgerPage:
        query = LedgerQuery(
            limit=limit,
            state=in_state,
            name=id_from_query(name, "name"),
            meeting_id=meeting_id_from_path(meeting_id),
            before=position(cursor),
        )
        return await ledger.page(query)

    @get(
        "/meetings/{meeting_id:str}/life",
        guards=reads,
        summary="When what happened to a meeting",
        description="Each room that it had, latest first: announced, started, agent joined, finished, accepted, sent.",
        responses=_READ_PROBLEMS,
    )
    async def show_life(meeting_id: FromPath[str]) -> MeetingLife:
        return await ledger.life(meeting_id_from_path(meeting_id))

    @post(
        "/events/{event_id:str}/replay",
        status_code=202,
        guards=replays,
        summary="Deliver an event again",
        description="Under the same id, which Inngest runs once within 24 hours. One that is pending is on its way already.",
        responses=keyed_problems(REPLAY_SCOPE, {404: "There is no such event"}),
    )
    async def replay_event(event_id: FromPath[str], request: Request[Any, ServiceKey, Any]) -> LedgerEntry:
        return await replay.one(id_from_path(event_id, "eventId"), actor=request.auth.name)

    @post(
        "/events/replay",
        status_code=202,
        guards=replays,
        summary="Deliver many events again",
        description="Those that were received in a time, oldest first. While `next` isn't null there are more, and the same "
        "request with it as `cursor` goes on.",
        responses=keyed_problems(REPLAY_SCOPE, {413: f"More than {MAX_WEBHOOK_BYTES // 1024} KiB"}),
    )
    async def replay_events(data: ReplayRequest, request: Request[Any, ServiceKey, Any]) -> Replayed:
        return await replay.many(data, actor=request.auth.name)

    return Router(
        "/v1",
        route_handlers=[list_events, list_meeting_events, show_life, replay_event, replay_events],
        security=[{"bearer": []}],
        tags=["ledger"],
        exception_handlers={
            BadCursorError: _bad_cursor,
            NoSuchEventError: _unknown,
            UnreplayableEventError: _unreplayable,
            StoreAwayError: _store_away,
        },
    )


def _in_utc(instant: datetime | None) -> datetime | None:
    return instant if instant is None or instant.tzinfo else instant.replace(tzinfo=UTC)


def _bad_cursor(request: Request[Any, Any, Any], error: BadCursorError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("cursor", str(error)))


def _unknown(request: Request[Any, Any, Any], _error: NoSuchEventError) -> Response[bytes]:
    return from_http_exception(request, NotFoundException(detail="There is no such event."))


def _unreplayable(request: Request[Any, Any, Any], _error: UnreplayableEventError) -> Response[bytes]:
    return from_invalid_field(request, InvalidFieldError("eventId", "is of an entry that is no event"))


def _store_away(request: Request[Any, Any, Any], _error: StoreAwayError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("the database"))
