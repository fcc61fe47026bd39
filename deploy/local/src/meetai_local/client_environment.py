"""What a client of the running stack needs: the content of `.local/env`.

Owns the names and the dotenv form. The file is there only while everything is ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from meetai_local.credentials import Credentials, write_private
from meetai_local.servers import postgres, valkey
from meetai_local.settings import StackSettings


def client_environment(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    """Addresses and keys, by the names that the services and the vendors' SDKs use."""
    ports = settings.ports
    livekit_url = f"ws://127.0.0.1:{ports.livekit}"
    inngest_url = settings.inngest_url or f"http://127.0.0.1:{ports.inngest}"
    return {
        "LIVEKIT_URL": livekit_url,
        "LIVEKIT_PUBLIC_URL": livekit_url,
        "LIVEKIT_API_KEY": credentials.livekit_api_key,
        "LIVEKIT_API_SECRET": credentials.livekit_api_secret,
        "DATABASE_URL": postgres.url(ports.postgres, credentials.postgres_password),
        "REDIS_URL": valkey.url(ports.redis, credentials.redis_password),
        "INNGEST_DEV": inngest_url,
        "INNGEST_BASE_URL": inngest_url,
        "INNGEST_EVENT_KEY": credentials.inngest_event_key,
        "INNGEST_SIGNING_KEY": credentials.inngest_signing_key,
        "TOKEN_URL": f"http://127.0.0.1:{ports.token}",
        "WEBHOOK_BRIDGE_URL": f"http://127.0.0.1:{ports.webhook_bridge}",
        "TRANSCRIPT_INGEST_URL": f"http://127.0.0.1:{ports.transcript_ingest}",
        "AGENT_URL": f"http://127.0.0.1:{ports.agent}",
        "SERVICE_KEY": credentials.service_key,
    }


def write(path: Path, environment: Mapping[str, str]) -> None:
    """Write the dotenv file (mode 600). No value here needs quoting: all are URLs and URL-safe text."""
    write_private(path, "".join(f"{name}={value}\n" for name, value in environment.items()).encode())


def read(path: Path) -> dict[str, str]:
    """Read it back.

    Raises:
        FileNotFoundError: No stack is running there, or it isn't ready yet.
    """
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in pairs}
