"""A service whose handlers do, and whose dependencies are, what the tests of HTTP are about."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Litestar, get, post
from litestar.params import FromPath, FromQuery, JSONBody, Parameter, QueryParameter, RawBody
from msgspec import Struct
from prometheus_client import CollectorRegistry

from meetai_contracts.api import TokenRequest
from meetai_contracts.codec import decode_json
from meetai_servicekit.auth import ServiceKeys, new_service_key, requires_scope
from meetai_servicekit.health import NotReadyError
from meetai_servicekit.http import create_http_service
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import UnavailableError

SECRET, ENTRY = new_service_key("crm", frozenset({"things:read"}))
KEYS = ServiceKeys.parse_setting(ENTRY)
TEXT = "what Ann said"


class Page(Struct):
    lines: list[str]


@post("/typed")
async def typed(data: JSONBody[TokenRequest]) -> str:
    return data.user_id


@post("/decoded")
async def decoded(body: RawBody) -> str:
    return decode_json(body, TokenRequest, max_bytes=1024).user_id


@get("/meetings/{meeting_id:str}/things")
async def things(meeting_id: FromPath[str], limit: FromQuery[int] = 10) -> dict[str, Any]:
    return {"id": meeting_id_from_path(meeting_id), "limit": limit}


@get("/renamed")
async def renamed(
    in_state: Annotated[Literal["sent", "dead"] | None, QueryParameter(name="state")] = None,
    received_from: Annotated[datetime | None, Parameter(query="from")] = None,
) -> str:
    return f"{in_state} {received_from}"


@get("/guarded", guards=[requires_scope(KEYS, "things:read")])
async def guarded() -> str:
    return "in"


@get("/unreachable", guards=[requires_scope(KEYS, "things:write")])
async def unreachable() -> str:
    return "in"


@get("/bug")
async def bug() -> None:
    raise KeyError(TEXT)


@get("/away")
async def away() -> None:
    raise UnavailableError("Redis", retry_after_seconds=7)


async def passes() -> None:
    """A dependency that answers."""


async def says_why() -> None:
    raise NotReadyError("schema is older than this service")


async def warns() -> str:
    return "appendonly is off"


async def breaks() -> None:
    raise OSError(TEXT)


async def hangs() -> None:
    await asyncio.Event().wait()


def create(**checks: Any) -> Litestar:
    routes = [typed, decoded, things, renamed, guarded, unreachable, bug, away]
    return create_http_service(
        title="Tested", routes=routes, readiness=checks or {"passes": passes}, registry=CollectorRegistry()
    )


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    return problem
