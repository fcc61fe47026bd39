"""Whisper on this machine's CPU, by CTranslate2 (faster-whisper): speech recognition without a key or a network.

Owns the model and the one thread that decodes. Imported only where a setting names it: the extra `local` installs it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from faster_whisper import WhisperModel
from livekit import rtc
from livekit.agents import APIConnectOptions, stt, utils
from livekit.agents.language import LanguageCode
from livekit.agents.types import NOT_GIVEN, NotGivenOr

NO_SPEECH_PROBABILITY: Final = 0.6
"""Above this, and unsure of its words, Whisper is inventing (Radford et al. 2022, section 4.5: the same two thresholds)."""
UNSURE_LOG_PROBABILITY: Final = -1.0
ALSO_CALLED: Final[Mapping[str, str]] = {
    "fil": "tl",
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jv": "jw",
    "nb": "no",
    "nn": "no",
    "yue": "zh",
}
"""Whisper's codes for languages that a model may not have by the code of their tag (faster_whisper/tokenizer.py at 1.2)."""


class WhisperSTT(stt.STT[str]):
    """`livekit.agents.stt.STT` for whole utterances, English or any language that the model knows.

    Args:
        model: A folder with CTranslate2 weights, or a name that faster-whisper can fetch.
        name: What to call it in metrics.
    """

    def __init__(self, model: str, *, name: str) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._name = name
        self._weights = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)
        # faster-whisper lists `yue` for all models, and only the newest have a token for it
        self._languages = {
            code
            for code in self._weights.supported_languages
            if self._weights.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        }
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="whisper")

    @property
    def model(self) -> str:
        """The model's name."""
        return self._name

    @property
    def provider(self) -> str:
        """Where it runs."""
        return "local"

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,  # noqa: ARG002 - the framework's signature; there is no connection
    ) -> stt.SpeechEvent:
        # No timeout: decoding needs no network and ends by itself, and when many speak at once an utterance waits its turn.
        frame = rtc.combine_audio_frames(buffer)
        asked = known_language(language, self._languages) if isinstance(language, str) else None
        loop = asyncio.get_running_loop()
        text, confidence, spoken = await loop.run_in_executor(self._decoder, self._decode, bytes(frame.data), asked)
        return stt.SpeechEvent(
            type=stt.SpeechEventType.FINAL_TRANSCRIPT,
            alternatives=[stt.SpeechData(language=LanguageCode(spoken), text=text, confidence=confidence)],
        )

    def _decode(self, pcm: bytes, language: str | None) -> tuple[str, float, str]:
        """Text, confidence, and the language that it was read in: the asked for, or what the model makes of it."""
        samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32768.0
        segments, info = self._weights.transcribe(
            samples,
            language=language,
            beam_size=1,
            without_timestamps=True,
            condition_on_previous_text=False,
            temperature=0.0,
        )
        spoken = [
            segment
            for segment in segments
            if segment.no_speech_prob < NO_SPEECH_PROBABILITY or segment.avg_logprob > UNSURE_LOG_PROBABILITY
        ]
        if not spoken:
            return "", 0.0, info.language
        text = " ".join(segment.text.strip() for segment in spoken)
        confidence = math.exp(sum(segment.avg_logprob for segment in spoken) / len(spoken))
        return text, confidence, info.language


def known_language(tag: str, known: Collection[str]) -> str | None:
    """Whisper's code for the tag's language; None if it has none of the known: the model finds out what is spoken.

    Args:
        tag: BCP 47, in any case.
        known: The codes that the model has.
    """
    code = LanguageCode(tag).language
    return next((each for each in (code, ALSO_CALLED.get(code)) if each in known), None)
