"""How a caller asks.

- `callers`: who is calling.
- `meetings`: `/v1/meetings/{meeting_id}`, for backends and hosts.
- `refusals`: how each error of the domain is answered, and what the OpenAPI document says of that.

Owns paths, status codes and headers. Must not decide what a role may do.
"""

from __future__ import annotations

from litestar import Router
from prometheus_client import CollectorRegistry

from meetai_servicekit.auth import ServiceKeys
from meetai_token.http.callers import known_caller
from meetai_token.http.meetings import meeting_routes
from meetai_token.http.refusals import EXCEPTION_HANDLERS
from meetai_token.usecases import AdmitPerson, RuleMeeting


def routes(
    admit_person: AdmitPerson,
    rule_meeting: RuleMeeting,
    *,
    keys: ServiceKeys,
    server_url: str,
    registry: CollectorRegistry,
) -> Router:
    """This service's own routes; `server_url` is where the people admitted reach LiveKit."""
    return Router(
        "/",
        route_handlers=[*meeting_routes(admit_person, rule_meeting, server_url=server_url, registry=registry)],
        guards=[known_caller(keys)],
        security=[{"bearer": []}],
        exception_handlers=EXCEPTION_HANDLERS,
    )
