"""The modules of the providers that the settings name.

Owns which they are. None may start a thread when it is imported: the fork server imports them, and a fork leaves threads behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meetai_agent.domain.providers import named

_MODULES: Final[Mapping[str, Mapping[str, str]]] = {
    "STT": {
        "local": "meetai_agent.adapters.whisper",
        "deepgram": "meetai_agent.adapters.deepgram",
        "openai": "livekit.plugins.openai",
    },
    "LLM": {"openai": "livekit.plugins.openai"},
    "TTS": {
        "local": "meetai_agent.adapters.espeak",
        "deepgram": "livekit.plugins.deepgram",
        "openai": "livekit.plugins.openai",
    },
}


def provider_modules(chosen: Mapping[str, str]) -> list[str]:
    """Their names, each once.

    Args:
        chosen: Settings and what they name: `STT`, `LLM`, `TTS`.
    """
    found = [_MODULES[setting].get(provider, "") for setting, names in chosen.items() for provider in named(names)]
    return [name for name in dict.fromkeys(found) if name]
