"""The language that Whisper is asked in, of a tag that may be any."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from livekit import rtc
from livekit.agents import APIConnectOptions
from livekit.agents.types import NOT_GIVEN, NotGivenOr

from meetai_agent.adapters import whisper
from meetai_agent.adapters.whisper import ALSO_CALLED, known_language

LISTED = frozenset(_LANGUAGE_CODES)


class Weights:
    """`WhisperModel` without a model: refuses the languages that the real one refuses, and hears nothing.

    Attributes:
        asked: In what language it was asked.
    """

    tokens: frozenset[str] = LISTED

    def __init__(self, _model: str, **_options: Any) -> None:
        self.supported_languages = list(_LANGUAGE_CODES)
        self.hf_tokenizer = SimpleNamespace(token_to_id=self._token_to_id)
        self.asked: list[str | None] = []

    def transcribe(self, _samples: Any, *, language: str | None, **_options: Any) -> tuple[list[Any], Any]:
        self.asked.append(language)
        tokenizer: Any = self.hf_tokenizer
        assert Tokenizer(tokenizer, multilingual=True, task="transcribe", language=language or "en").language
        return [], SimpleNamespace(language=language or "en")

    def _token_to_id(self, token: str) -> int | None:
        return 1 if token.strip("<|>") in self.tokens | {"transcribe"} else None


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        *[("en", "en"), ("EN", "en"), ("en-US", "en"), ("De-ch", "de"), ("zh-Hant-TW", "zh"), ("haw", "haw")],
        *[("nb", "no"), ("NB-NO", "no"), ("nn-NO", "nn"), ("no", "no"), ("fil-PH", "tl"), ("iw", "he"), ("in", "id")],
        *[("ji", "yi"), ("jv", "jw"), ("cmn", "zh"), ("cmn-Hans-CN", "zh"), ("yue-HK", "yue"), ("deu", "de")],
        *[("ga", None), ("gsw-CH", None), ("tlh", None), ("", None)],
    ],
)
def test_a_language_is_found_when_its_tag_is_another(tag: str, code: str | None) -> None:
    """In any case, with a region or without; none where Whisper has none."""
    assert known_language(tag, LISTED) == code


def test_the_next_of_kin_is_found_when_the_model_lacks_the_language() -> None:
    """Models differ in what they know."""
    assert known_language("nn", LISTED - {"nn"}) == "no"
    assert known_language("yue", LISTED - {"yue"}) == "zh"
    assert known_language("de", {"en"}) is None
    assert set(ALSO_CALLED.values()) <= LISTED


@pytest.mark.parametrize(
    ("language", "asked"),
    [("nb-NO", "no"), ("EN", "en"), ("ga-IE", None), ("yue", "zh"), ("", None), (NOT_GIVEN, None)],
)
async def test_the_model_is_asked_in_what_it_knows_when_the_tag_is_any(
    language: NotGivenOr[str], asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses all others, and fails by those that are listed for it and that it has no token for."""
    monkeypatch.setattr(Weights, "tokens", LISTED - {"yue"})
    monkeypatch.setattr(whisper, "WhisperModel", Weights)
    recogniser = whisper.WhisperSTT("small", name="small")
    options = APIConnectOptions(max_retry=0)
    await recogniser.recognize(rtc.AudioFrame.create(16_000, 1, 16_000), language=language, conn_options=options)
    weights: Any = recogniser._weights
    assert weights.asked == [asked]
