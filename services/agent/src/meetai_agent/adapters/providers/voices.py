"""Voices by the setting `TTS`: `provider/model`, and after commas those that take over when it fails.

Owns the list of them, and what each makes of the voice and the language that an application asks for. What a provider needs is
imported only when a setting names it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, Final

from livekit.agents import tts

from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess
from meetai_contracts.room import AgentData

DEEPGRAM_VOICES: Final = "aura-"
"""With Deepgram a voice is a model: the metadata's `voice` counts if it is one."""

NewVoice = Callable[[AgentData], tts.TTS[Any]]
"""Makes the voice of one meeting's agent, in the language and with the voice that the application wants."""


def check_voice(setting: str, access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_voice` from working.

    Raises:
        UnknownProviderError: of one of them: no such provider, its key isn't set, or its packages aren't installed.
    """
    for name in setting.split(","):
        provider, _, model = name.strip().partition("/")
        if provider not in _PROVIDERS or not model:
            known = "local/espeak-ng, openai/<model> and deepgram/<model>"
            raise UnknownProviderError(f"TTS: {provider!r} is not a provider; known are {known}")
        _PROVIDERS[provider][0](model, access)


def load_voice(setting: str, access: ProviderAccess) -> NewVoice:
    """Load what `TTS` names, once a process.

    Raises:
        UnknownProviderError: as `check_voice`.
    """
    check_voice(setting, access)
    names = [name.strip().partition("/") for name in setting.split(",")]
    makes = [_PROVIDERS[provider][1](model, access) for provider, _, model in names]
    if len(makes) == 1:
        return makes[0]
    return lambda agent: tts.FallbackAdapter([make(agent) for make in makes], max_retry_per_tts=1)


def _check_local(model: str, _access: ProviderAccess) -> None:
    if model != "espeak-ng":
        raise UnknownProviderError(f"TTS: local/{model} is not known; local/espeak-ng is")
    if find_spec("espeakng_loader") is None:
        raise UnknownProviderError(f"TTS: local/{model} needs the extra meetai-agent[local]")


def _load_local(_model: str, _access: ProviderAccess) -> NewVoice:
    from meetai_agent.adapters.espeak import Espeak, EspeakTTS  # noqa: PLC0415 - an optional extra

    library, thread = Espeak(), ThreadPoolExecutor(1, thread_name_prefix="espeak")
    return lambda agent: EspeakTTS(library, thread, voice=agent.voice or agent.language)


def _check_openai(model: str, access: ProviderAccess) -> None:
    if access.openai_api_key is None:
        raise UnknownProviderError(f"OPENAI_API_KEY: is required by TTS=openai/{model}")


def _load_openai(model: str, access: ProviderAccess) -> NewVoice:
    from livekit.plugins import openai  # noqa: PLC0415 - it takes memory and start-up time

    key = access.openai_api_key
    assert key is not None  # noqa: S101 - for the type checker: it has been checked
    url = access.openai_base_url or "https://api.openai.com/v1"
    # wav, and not pcm: an error page would be played as noise
    return lambda agent: openai.TTS(
        model=model,
        voice=agent.voice or openai.tts.DEFAULT_VOICE,
        api_key=key.reveal(),
        base_url=url,
        response_format="wav",
    )


def _check_deepgram(model: str, access: ProviderAccess) -> None:
    if access.deepgram_api_key is None:
        raise UnknownProviderError(f"DEEPGRAM_API_KEY: is required by TTS=deepgram/{model}")


def _load_deepgram(model: str, access: ProviderAccess) -> NewVoice:
    from livekit.plugins import deepgram  # noqa: PLC0415 - it takes memory and start-up time

    key = access.deepgram_api_key
    assert key is not None  # noqa: S101 - for the type checker: it has been checked
    url = (access.deepgram_base_url or "https://api.deepgram.com/v1").rstrip("/")
    return lambda agent: deepgram.TTS(
        model=agent.voice if agent.voice and agent.voice.startswith(DEEPGRAM_VOICES) else model,
        api_key=key.reveal(),
        base_url=f"{url}/speak",
    )


_PROVIDERS: Final[
    dict[str, tuple[Callable[[str, ProviderAccess], None], Callable[[str, ProviderAccess], NewVoice]]]
] = {
    "local": (_check_local, _load_local),
    "openai": (_check_openai, _load_openai),
    "deepgram": (_check_deepgram, _load_deepgram),
}
