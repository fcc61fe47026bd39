"""Voices by the setting `TTS`: `provider/model` to something that speaks.

Owns the list of them. What a provider needs is imported only when a setting names it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from livekit.agents import tts

from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess
from meetai_contracts.room import AgentData

ESPEAK: Final = "local/espeak-ng"

NewVoice = Callable[[AgentData], tts.TTS[Any]]
"""Makes the voice of one meeting's agent, in the language and with the voice that the application wants."""


def check_voice(setting: str, _access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_voice` from working.

    Raises:
        UnknownProviderError: no such provider or model, or its packages aren't installed.
    """
    if setting != ESPEAK:
        raise UnknownProviderError(f"TTS: {setting!r} is not known; known is {ESPEAK}")
    if find_spec("espeakng_loader") is None:
        raise UnknownProviderError(f"TTS: {setting} needs the extra meetai-agent[local]")


def load_voice(setting: str, access: ProviderAccess) -> NewVoice:
    """Load what `TTS` names, once a process.

    Raises:
        UnknownProviderError: as `check_voice`.
    """
    check_voice(setting, access)
    from meetai_agent.adapters.espeak import Espeak, EspeakTTS  # noqa: PLC0415 - an optional extra

    speak = partial(EspeakTTS, Espeak(), ThreadPoolExecutor(1, thread_name_prefix="espeak"))
    return lambda agent: speak(voice=agent.voice or agent.language)
