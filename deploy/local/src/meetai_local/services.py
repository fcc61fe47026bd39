"""The four services as data: how each is started here, and what it is told.

Owns their environment on this machine. Must not import them: each is its own process, in its own words.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from meetai_local.credentials import Credentials
from meetai_local.part import LONGEST_STOP_SECONDS, Kind, Part
from meetai_local.servers.http_ready import http_ready
from meetai_local.settings import StackSettings

AGENT_READY_SECONDS = 90.0  # 5-12 s on an idle machine; it imports the framework and loads the speech model


def services(
    settings: StackSettings, credentials: Credentials, client_environment: Mapping[str, str], servers: tuple[str, ...]
) -> tuple[Part, ...]:
    """The four, each after all servers."""
    inngest = ("INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY")
    shared = {
        **{name: client_environment[name] for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")},
        "SERVICE_KEYS": credentials.hashed_service_keys(),
        "HOST": "127.0.0.1",
    }

    def service(field: str, *, needs: tuple[str, ...], has_tables: bool = False, **more: str) -> Part:
        port = getattr(settings.ports, field)
        module = (sys.executable, "-m", f"meetai_{field}")
        name = field.replace("_", "-")
        return Part(
            name=name,
            kind=Kind.SERVICE,
            folder=settings.root / "services" / name,
            command=module,
            before=((*module, "migrate"),) if has_tables else (),
            environment={
                **shared,
                **{need: client_environment[need] for need in needs},
                "PORT": str(port),
                **more,
                **(settings.agent_environment if field == "agent" else {}),
                **settings.service_environment,
            },
            ready=http_ready(f"http://127.0.0.1:{port}/readyz"),
            ready_seconds=AGENT_READY_SECONDS if field == "agent" else 30.0,
            after=servers,
            stop_seconds=LONGEST_STOP_SECONDS if field == "agent" else 10.0,
            shown_address=f"http://127.0.0.1:{port}",
        )

    return (
        service("token", needs=("LIVEKIT_PUBLIC_URL",)),
        service("webhook_bridge", needs=("DATABASE_URL", "REDIS_URL", *inngest), has_tables=True),
        service(
            "transcript_ingest",
            needs=("DATABASE_URL", "REDIS_URL"),
            has_tables=True,
            COMPLETION_QUIET_SECONDS="5",  # who watches a demo doesn't want to wait a minute for its proof
        ),
        service(
            "agent",
            needs=("REDIS_URL",),
            STT=settings.speech_to_text,
            DRAIN_SECONDS="0",  # a stack that stops ends its meetings, each with its last flush
            SPOOL_DIR=str((settings.root / "spool").resolve()),
        ),
    )
