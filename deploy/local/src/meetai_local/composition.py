"""Which parts a whole stack has: four servers, found or built, and the four services on top of them, and the example of what comes after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from meetai_local.console import Console
from meetai_local.credentials import Credentials
from meetai_local.examples import post_meeting
from meetai_local.part import Part
from meetai_local.servers import livekit, postgres, valkey
from meetai_local.servers.inngest import ReceiverSearch
from meetai_local.servers.livekit_program import ProgramSearch
from meetai_local.services import services
from meetai_local.settings import StackSettings


class Plan(Struct, frozen=True, kw_only=True):
    """What a composition builds on. `run` marks the processes of this start."""

    settings: StackSettings
    credentials: Credentials
    client_environment: Mapping[str, str]
    run: str
    console: Console


Composition = Callable[[Plan], Awaitable[tuple[Part, ...]]]


async def whole_stack(plan: Plan) -> tuple[Part, ...]:
    """All nine parts; eight where Inngest runs elsewhere.

    Raises:
        NoLiveKitError: livekit-server can neither be found nor built here.
    """
    settings, root, ports = plan.settings, plan.settings.root, plan.settings.ports
    program = await ProgramSearch(settings, run=plan.run, console=plan.console).find()
    plan.console.event("livekit", f"livekit-server: {program.origin}")
    receiver = await ReceiverSearch(settings, run=plan.run, console=plan.console).find()
    plan.console.event("inngest", f"events go to: {receiver.kind}")
    servers = [
        postgres.part(root / "postgres", port=ports.postgres, password=plan.credentials.postgres_password),
        valkey.part(root / "redis", port=ports.redis, password=plan.credentials.redis_password),
        livekit.part(root / "livekit", ports=ports, credentials=plan.credentials, program=program),
        *([receiver.part] if receiver.part else []),
    ]
    names = tuple(server.name for server in servers)
    four = services(settings, plan.credentials, plan.client_environment, names)
    return (*servers, *four, post_meeting(settings, plan.client_environment, (*names, "transcript-ingest")))
