"""A server that speaks the wire format of OpenAI's `/v1/audio/transcriptions`, and misbehaves when it is told to.

Source: platform.openai.com/docs/api-reference/audio/createTranscription.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable
from typing import Literal

from aiohttp import BodyPartReader, web
from tests.servers.provider_server import ProviderServer
from tests.servers.spoken_reference import Word

KEY = "sk-for-tests"

Fault = Literal["none", "401", "429", "500", "hang", "cut", "garbage", "slow"]


class TranscriptionsServer(ProviderServer[Fault]):
    """A `ProviderServer`; what it has beside that is named here.

    Attributes:
        refused_languages: Requests in these are refused with 400: no model has them.
        forms: The fields, beside the file, of every request.
    """

    def __init__(self, words_in: Callable[[bytes], list[Word]]) -> None:
        super().__init__(
            [web.post("/v1/audio/transcriptions", self._transcribe)], well="none", largest_body=32 * 1024**2
        )
        self.refused_languages: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self._words_in = words_in

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, str] = {}
        pcm = b""
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            assert part.name is not None
            if part.name == "file":
                with wave.open(io.BytesIO(await part.read())) as wav:
                    pcm = wav.readframes(wav.getnframes())
            else:
                form[part.name] = await part.text()
        self.forms.append(form)
        fault = self._next_fault()
        if fault in {"401", "429", "500"} or request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "refused"}}, status=int(fault) if fault.isdigit() else 401)
        if form.get("language") in self.refused_languages:
            return web.json_response({"error": {"code": "unsupported_language", "param": "language"}}, status=400)
        if fault == "hang":
            await self._hang()
        if fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        if fault == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        if fault == "slow":
            await asyncio.sleep(1.0)
        words = await asyncio.to_thread(self._words_in, pcm)
        return web.json_response({"text": " ".join(word.text for word in words)})
