"""How a caller asks.

- `callers`: who is calling, and how often.
- `pages`: which web pages may, where cookies go along.
- `meetings`: `/v1/meetings/{meeting_id}`, for backends and hosts.
- `token_source`: `/livekit/token`, for LiveKit's own clients.
- `door`: what those two share.
- `refusals`: how each error of the domain is answered, and what the OpenAPI document says of that.

Owns paths, status codes and headers. Must not decide what a role may do.
"""

from __future__ import annotations

from collections.abc import Collection

from litestar import Router

from meetai_token.http.callers import Callers
from meetai_token.http.door import Door
from meetai_token.http.meetings import meeting_routes
from meetai_token.http.pages import only_of
from meetai_token.http.refusals import EXCEPTION_HANDLERS
from meetai_token.http.token_source import token_source_routes
from meetai_token.usecases import RuleMeeting


def routes(
    door: Door, rule_meeting: RuleMeeting, callers: Callers, *, agent_name: str, pages: Collection[str] | None = None
) -> Router:
    """This service's own routes; `pages` are the origins that may ask where cookies go along, None where they don't."""
    return Router(
        "/",
        route_handlers=[*meeting_routes(door, rule_meeting), *token_source_routes(door, agent_name=agent_name)],
        middleware=[*([only_of(pages)] if pages is not None else []), callers.middleware()],
        security=[{"bearer": []}],
        exception_handlers=EXCEPTION_HANDLERS,
    )
