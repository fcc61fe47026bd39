"""What can be set about the local stack. `from_environment` is the only reader of the environment here.

Every port and the root folder are settings, so that a test's stack runs beside a developer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from meetai_servicekit import settings as servicekit_settings

SPEECH_TO_TEXT = "local/whisper-tiny.en"  # recognises real speech offline and without a key
SUMMARY_PROVIDERS = ("SUMMARY_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL")
AGENT_PROVIDERS = ("LLM", "TTS", "OPENAI_API_KEY", "OPENAI_BASE_URL", "DEEPGRAM_API_KEY", "DEEPGRAM_BASE_URL")

Port = Annotated[int, Meta(ge=1024, le=65_535)]


class Ports(Struct, frozen=True, kw_only=True):
    """Where everything listens, on 127.0.0.1. The field `token` is set by `MEETAI_TOKEN_PORT`."""

    livekit: Port = 7880
    livekit_udp: Port = 7882
    postgres: Port = 54329
    redis: Port = 63799
    inngest: Port = 8288
    token: Port = 8101
    webhook_bridge: Port = 8102
    transcript_ingest: Port = 8103
    agent: Port = 8104
    post_meeting: Port = 8105

    @staticmethod
    def setting(field: str) -> str:
        """The environment variable that sets a field."""
        return f"MEETAI_{field.upper()}_PORT"


class StackSettings(Struct, frozen=True, kw_only=True):
    """One local stack.

    Attributes:
        root: Everything that it keeps is in this folder.
        programs: Where programs are built and found again; `root` when None. Tests share the developer's.
        livekit_server_bin: A livekit-server program to use instead of looking for one.
        inngest_url: An Inngest server that is already running; none is started then.
        inngest: `recorder` starts the event recorder without looking for an Inngest dev server first.
        uv: The program that installs Go from PyPI where a build needs it.
        speech_to_text: The agent's `STT`, as provider/model.
        agent_environment: Added to the agent's environment: its other providers and their keys.
        summary_environment: Added to the environment of the post-meeting example: its model and the key.
        restarts_services: Whether a crashed service is started again; tests that kill one may want it to stay down.
        service_environment: Added to the environment of all four services.
    """

    root: Path = Path(".local")
    programs: Path | None = None
    ports: Ports = Ports()
    livekit_server_bin: str | None = None
    inngest_url: str | None = None
    inngest: Literal["any", "recorder"] = "any"
    uv: str | None = None
    speech_to_text: str = SPEECH_TO_TEXT
    agent_environment: Mapping[str, str] = {}
    summary_environment: Mapping[str, str] = {}
    restarts_services: bool = True
    service_environment: Mapping[str, str] = {}


def from_environment(environ: Mapping[str, str]) -> StackSettings:
    """Read the settings.

    Raises:
        servicekit_settings.SettingsError: names every wrong variable at once.
    """
    names = {field.name: Ports.setting(field.name).lower() for field in msgspec.structs.fields(Ports)}
    readable = msgspec.defstruct(
        "LocalSettings",
        [
            *((names[field.name], field.type, field.default) for field in msgspec.structs.fields(Ports)),
            ("meetai_inngest", Annotated[str, Meta(pattern="^(any|recorder)$")], "any"),
        ],
    )
    read: Any = servicekit_settings.load(readable, environ)
    inngest_dev = environ.get("INNGEST_DEV", "")
    return StackSettings(
        root=Path(environ.get("MEETAI_LOCAL_ROOT") or ".local").absolute(),
        ports=Ports(**{field: getattr(read, name) for field, name in names.items()}),
        livekit_server_bin=environ.get("LIVEKIT_SERVER_BIN") or None,
        inngest_url=inngest_dev.rstrip("/") if inngest_dev.startswith(("http://", "https://")) else None,
        inngest=read.meetai_inngest,
        uv=environ.get("MEETAI_UV") or None,
        speech_to_text=environ.get("STT") or SPEECH_TO_TEXT,
        summary_environment={name: environ[name] for name in SUMMARY_PROVIDERS if environ.get(name)},
        agent_environment={name: environ[name] for name in AGENT_PROVIDERS if environ.get(name)},
    )
