"""The agent's settings: the only reader of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from meetai_agent.domain.providers import ProviderAccess, missing_keys
from meetai_servicekit.secret import RedisUrl, Secret, SigningSecret
from meetai_servicekit.settings import AgentName, HttpSettings, LiveKitUrl, StreamShards


class AgentSettings(HttpSettings, frozen=True, kw_only=True):
    """What a worker needs; each field is read from the variable of the same name in capitals."""

    port: Annotated[int, Meta(ge=1, le=65535, description="Port of health, metrics and OpenAPI.")] = 8104
    livekit_url: LiveKitUrl
    livekit_api_key: Annotated[str, Meta(min_length=1, description="LiveKit API key.")]
    livekit_api_secret: Annotated[SigningSecret, Meta(description="Secret of that key pair.")]
    redis_url: Annotated[RedisUrl, Meta(description="Redis with the transcript streams.")]
    stt: Annotated[
        str,
        Meta(
            pattern=r"^[a-z]+/[^,]+(,[a-z]+/[^,]+){0,3}$",
            description="Recogniser, provider/model; after commas those that take over when it fails.",
        ),
    ] = "local/whisper-tiny.en"
    llm: Annotated[
        str,
        Meta(
            pattern=r"^([a-z]+/[^,]+(,[a-z]+/[^,]+){0,3}|none)$",
            description="Responder, provider/model; after commas those that take over when it fails. none: no answers.",
        ),
    ] = "local/rules"
    tts: Annotated[
        str,
        Meta(
            pattern=r"^[a-z]+/[^,]+(,[a-z]+/[^,]+){0,3}$",
            description="Voice, provider/model; after commas those that take over when it fails.",
        ),
    ] = "local/espeak-ng"
    openai_api_key: Annotated[Secret, Meta(description="Key for providers openai/….")] | None = None
    openai_base_url: Annotated[str, Meta(pattern=r"^https?://", description="An OpenAI-compatible API.")] | None = None
    deepgram_api_key: Annotated[Secret, Meta(description="Key for providers deepgram/….")] | None = None
    deepgram_base_url: (
        Annotated[str, Meta(pattern=r"^https?://", description="A Deepgram of one's own, https://…/v1.")] | None
    ) = None
    agent_name: AgentName = "meetai"
    spool_dir: Annotated[str, Meta(min_length=1, description="Folder on a local disk for the spools of jobs.")]
    spool_max_bytes: Annotated[int, Meta(ge=65_536, description="Largest spool of one job, bytes.")] = 64 * 1024 * 1024
    transcript_stream_shards: StreamShards = 1
    max_jobs: Annotated[int, Meta(ge=1, le=1000, description="Meetings at once; beyond, the worker refuses.")] = 10
    idle_processes: Annotated[int, Meta(ge=0, le=32, description="Processes kept warm for the next meeting.")] = 1
    approval_seconds: Annotated[
        int, Meta(ge=5, le=3600, description="How long a person has to answer one approval popup.")
    ] = 120
    drain_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="How long running meetings may go on after SIGTERM.")
    ] = 3600

    @classmethod
    def compare_settings(cls, values: Mapping[str, Any]) -> list[str]:
        """A provider that is named needs its key. The defaults need none, nor does a voice that is never used."""
        used = ("stt",) if values.get("llm") == "none" else ("stt", "llm", "tts")
        chosen = {name.upper(): values.get(name, "") for name in used}
        return missing_keys(chosen, values.keys())

    @property
    def providers(self) -> dict[str, str]:
        """What each of `STT`, `LLM` and `TTS` names, where it is used."""
        spoken = {} if self.llm == "none" else {"LLM": self.llm, "TTS": self.tts}
        return {"STT": self.stt, **spoken}

    @property
    def provider_access(self) -> ProviderAccess:
        """What the providers' adapters are given."""
        return ProviderAccess(
            openai_api_key=self.openai_api_key,
            openai_base_url=self.openai_base_url,
            deepgram_api_key=self.deepgram_api_key,
            deepgram_base_url=self.deepgram_base_url,
        )
