"""How a caller asks.

- `callers`: who is calling, and how often.
- `meetings`: `/v1/meetings/{meeting_id}`, for backends and hosts.
- `token_source`: `/livekit/token`, for LiveKit's own clients.
- `door`: what those two share.
- `refusals`: how each error of the domain is answered, and what the OpenAPI document says of that.

Owns paths, status codes and headers. Must not decide what a role may do.
"""

from __future__ import annotations

from litestar import Router

from meetai_token.http.callers import Callers
from meetai_token.http.door import Door
from meetai_token.http.meetings import meeting_routes
from meetai_token.http.refusals import EXCEPTION_HANDLERS
from meetai_token.http.token_source import token_source_routes
from meetai_token.usecases import RuleMeeting


def routes(door: Door, rule_meeting: RuleMeeting, callers: Callers, *, agent_name: str) -> Router:
    """This service's own routes."""
    return Router(
        "/",
        route_handlers=[*meeting_routes(door, rule_meeting), *token_source_routes(door, agent_name=agent_name)],
        middleware=[callers.middleware()],
        security=[{"bearer": []}],
        exception_handlers=EXCEPTION_HANDLERS,
    )
