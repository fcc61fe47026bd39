"""Where the charts are, and what each of them deploys. Owns these names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from meetai_agent.settings import AgentSettings
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest.settings import IngestSettings
from meetai_webhook_bridge.settings import BridgeSettings

ROOT: Final = Path(__file__).resolve().parents[3]
CHARTS: Final = ROOT / "deploy" / "charts"
SHARED: Final = CHARTS / "shared"
MATRIX: Final = CHARTS / "ci"
TOOLS: Final = ROOT / ".local" / "charts" / "bin"
UMBRELLA: Final = "meetai"
LIBRARY: Final = "meetai-lib"

SETTINGS: Final[dict[str, type[Struct]]] = {
    "token": TokenSettings,
    "webhook-bridge": BridgeSettings,
    "transcript-ingest": IngestSettings,
    "agent": AgentSettings,
}
"""Each service's chart, and the class that reads its environment."""

SERVICES: Final = tuple(SETTINGS)
INSTALLED: Final = (*SERVICES, UMBRELLA)

NOT_IN_CONFIG: Final = frozenset(
    {
        # Of the pod itself.
        *("host", "port", "spool_dir"),
        # On these two services must agree, so they are `global`.
        *("livekit_url", "livekit_public_url", "agent_name", "transcript_stream_shards"),
        *("log_level", "otel_exporter_otlp_endpoint"),
        # Secrets come by reference.
        *(
            "livekit_api_key",
            "livekit_api_secret",
            "livekit_api_key_next",
            "livekit_api_secret_next",
            "livekit_more_keys",
        ),
        *("service_keys", "redis_url", "database_url", "inngest_event_key", "inngest_signing_key"),
        *("openai_api_key", "deepgram_api_key"),
    }
)
"""Settings that the charts set otherwise than by `config`."""
