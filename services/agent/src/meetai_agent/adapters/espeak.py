"""espeak-ng on this machine's CPU: a voice without a key or a network, plain but clear.

Owns the library, which is one to a process and not thread-safe, and the one thread that calls it. Imported only where a
setting names it: the extra `local` installs it.
"""

from __future__ import annotations

import asyncio
import ctypes
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final
from uuid import uuid4

import espeakng_loader
from livekit.agents import APIConnectionError, APIConnectOptions, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

DEFAULT_VOICE: Final = "en-us"
WORDS_A_MINUTE: Final = 150
"""Its own 175 is hurried."""
MAX_CHARACTERS: Final = 4_000
"""A sentence at a time comes; whatever comes, the audio of one call is bounded: some 4 minutes, 11 MB."""

# speak_lib.h of espeak-ng 1.52
_AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
_CHARS_UTF8: Final = 1
_POSITION_CHARACTER: Final = 1
_RATE: Final = 1
_BUFFER_MS: Final = 100
_Callback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, as one object: `speak` is safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pcm = bytearray()
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, 0)
        if self.sample_rate <= 0:
            raise OSError("espeak-ng could not be initialised")
        self._callback = _Callback(self._take)  # kept: the library holds no reference of its own
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetParameter(_RATE, WORDS_A_MINUTE, 0)

    def speak(self, text: str, voice: str) -> bytes:
        """A text as 16-bit mono samples; the default voice says it where there is none of this name.

        Raises:
            OSError: the library failed.
        """
        with self._lock:
            self._pcm.clear()
            self._set_voice(voice)
            said = text[:MAX_CHARACTERS].replace("\0", " ").encode("utf-8", "replace")
            failed = self._library.espeak_Synth(said, len(said) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
            if failed:
                raise OSError("espeak-ng could not speak")
            return bytes(self._pcm)

    def _set_voice(self, voice: str) -> None:
        """By its name, or the language of that tag, or of its first part: `de-CH` is spoken as `de`."""
        wanted = DEFAULT_VOICE if voice.lower() == "en" else voice.lower()
        for name in (wanted, wanted.partition("-")[0], DEFAULT_VOICE):
            if self._library.espeak_SetVoiceByName(name.encode("utf-8", "replace")) == 0:
                return

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        return 0


class EspeakTTS(tts.TTS[str]):
    """`livekit.agents.tts.TTS` a sentence at a time.

    Args:
        voice: espeak-ng's name of a voice or a language (`en-gb`, `de`); None or an unknown one takes American English.
    """

    def __init__(self, library: Espeak, thread: ThreadPoolExecutor, *, voice: str | None) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=library.sample_rate, num_channels=1
        )
        self._library = library
        self._thread = thread
        self._voice = voice or DEFAULT_VOICE

    @property
    def model(self) -> str:
        """The program."""
        return "espeak-ng"

    @property
    def provider(self) -> str:
        """Where it runs."""
        return "local"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Speak a sentence."""
        return _EspeakStream(self, text, conn_options)

    async def speak(self, text: str) -> bytes:
        """The samples of a text, made in the library's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._library.speak, text, self._voice)


class _EspeakStream(tts.ChunkedStream):
    def __init__(self, voice: EspeakTTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=voice, input_text=text, conn_options=conn_options)
        self._espeak = voice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid4().hex,
            sample_rate=self._espeak.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
        )
        try:
            samples = await self._espeak.speak(self.input_text)
        except OSError as error:
            raise APIConnectionError("espeak-ng failed") from error
        output_emitter.push(samples)
        output_emitter.flush()
