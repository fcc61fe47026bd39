"""Our service without its calls to LiveKit: all else is as in `meetai_token.app`. The settings' environment in."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from typing import cast

from prometheus_client import CollectorRegistry

from meetai_servicekit.background import ProcessFate
from meetai_servicekit.http import create_http_service
from meetai_servicekit.livekit import KeyPair, KeyPairs
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.server import serve
from meetai_servicekit.settings import load_or_exit
from meetai_token import http
from meetai_token.adapters.limits_in_process import InProcessLimits
from meetai_token.adapters.livekit_tokens import LiveKitTokenMint
from meetai_token.domain.rooms import RoomSetup, RoomWish, setup_for, wanted_metadata
from meetai_token.http.callers import Callers
from meetai_token.http.door import Door
from meetai_token.settings import TokenSettings
from meetai_token.usecases import AdmitPerson, PrepareRoom, RuleMeeting


async def known_at_once(wish: RoomWish) -> RoomSetup:
    """What `PrepareRoom` returns, without asking anybody."""
    return setup_for(wanted_metadata(wish), "meetai")


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_or_exit(TokenSettings, os.environ)
    configure_logging("token", settings.log_level)
    registry = CollectorRegistry()
    keys = KeyPairs(KeyPair(settings.livekit_api_key, settings.livekit_api_secret))
    admit = AdmitPerson(
        cast("PrepareRoom", known_at_once),
        LiveKitTokenMint(keys),
        ttl_seconds=settings.token_ttl_seconds,
        now=lambda: datetime.now(UTC),
        new_id=uuid.uuid4,
    )
    callers = Callers(settings.service_keys, None, InProcessLimits(now=time.monotonic), settings.quotas)
    door = Door(admit, server_url=settings.server_url, registry=registry)
    routes = http.routes(door, cast("RuleMeeting", None), callers, agent_name=settings.agent_name)
    service = create_http_service(title="bench", routes=[routes], readiness={}, registry=registry)
    serve(service, host=settings.host, port=settings.port, fate=ProcessFate())


if __name__ == "__main__":
    main()
