"""Puts the service together: settings in, a running thing out. The only module that knows every other."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from litestar import Litestar
from prometheus_client import CollectorRegistry

from meetai_servicekit.background import ProcessFate
from meetai_servicekit.health import NotReadyError
from meetai_servicekit.http import HttpService, create_http_service, cross_origin
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.server import serve
from meetai_servicekit.settings import load_or_exit
from meetai_servicekit.tracing import start_tracing
from meetai_token import http
from meetai_token.adapters.limits_in_process import InProcessLimits
from meetai_token.adapters.limits_in_redis import RedisLimits
from meetai_token.adapters.livekit_rooms import LiveKitRooms
from meetai_token.adapters.livekit_tokens import LiveKitTokenMint
from meetai_token.adapters.oidc import OidcPeople
from meetai_token.domain.errors import RoomsUnavailableError
from meetai_token.http.callers import Callers
from meetai_token.http.door import Door
from meetai_token.settings import TokenSettings
from meetai_token.usecases import AdmitPerson, PrepareRoom, RuleMeeting

NAME: Final = "token"


def run(environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM; returns the process's exit code."""
    settings = load_or_exit(TokenSettings, environ)
    configure_logging(NAME, settings.log_level)
    return serve(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        fate=ProcessFate(),
        trusted_proxies=settings.trusted_proxies,
    )


def create_app(settings: TokenSettings) -> HttpService:
    """The application. Nothing is opened before it starts up."""
    registry = CollectorRegistry()
    rooms = LiveKitRooms(
        url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.reveal(),
        next_key_pair=settings.next_key_pair,
        registry=registry,
    )
    admit_person = AdmitPerson(
        PrepareRoom(rooms, agent_name=settings.agent_name, now=_now),
        LiveKitTokenMint(rooms.keys),
        ttl_seconds=settings.token_ttl_seconds,
        now=_now,
        new_id=uuid.uuid4,
    )

    people, limits = _people(settings), _limits(settings)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(rooms.connected())
            if people is not None:
                await opened.enter_async_context(people.connected())
            if isinstance(limits, RedisLimits):
                await opened.enter_async_context(limits.connected())
            yield

    async def livekit_answers() -> None:
        try:
            await rooms.check()
        except RoomsUnavailableError as error:
            raise NotReadyError(str(error)) from error

    return create_http_service(
        title="MeetAI token",
        routes=[
            http.routes(
                Door(admit_person, server_url=settings.server_url, registry=registry),
                RuleMeeting(rooms),
                Callers(settings.service_keys, people, limits, settings.quotas),
                agent_name=settings.agent_name,
                pages=settings.cors_origins if settings.cors_credentials else None,
            )
        ],
        cors=cross_origin(settings.cors_origins, credentials=settings.cors_credentials),
        readiness={"livekit": livekit_answers},
        registry=registry,
        lifespan=[lifespan],
        tracing=start_tracing(NAME, settings.otel_exporter_otlp_endpoint),
    )


def _people(settings: TokenSettings) -> OidcPeople | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    return OidcPeople(
        settings.oidc_issuer,
        settings.oidc_audience,
        meeting_claim=settings.oidc_meeting_claim,
        role_claim=settings.oidc_role_claim,
        now=time.monotonic,
    )


def _limits(settings: TokenSettings) -> InProcessLimits | RedisLimits:
    own = InProcessLimits(now=time.monotonic)
    if settings.redis_url is None:
        return own
    return RedisLimits(settings.redis_url, otherwise=own, now=time.monotonic)


def _now() -> datetime:
    return datetime.now(UTC)
