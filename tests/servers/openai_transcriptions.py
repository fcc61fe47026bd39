"""A server that speaks the wire format of OpenAI's `/v1/audio/transcriptions`, and misbehaves when it is told to.

Source: platform.openai.com/docs/api-reference/audio/createTranscription.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from aiohttp import BodyPartReader, web
from tests.servers.spoken_reference import Word

KEY = "sk-for-tests"

Fault = Literal["none", "401", "429", "500", "hang", "cut", "garbage", "slow"]


class TranscriptionsServer:
    """Listens on a free port of 127.0.0.1 while its context is open.

    Attributes:
        faults: What happens to the next requests, in order; those after the last go well.
        always: What happens to every request beyond those.
        forms: The fields, beside the file, of every request.
    """

    def __init__(self, words_in: Callable[[bytes], list[Word]]) -> None:
        self.faults: deque[Fault] = deque()
        self.always: Fault = "none"
        self.forms: list[dict[str, str]] = []
        self.base_url = ""
        self._words_in = words_in
        self._runner: web.AppRunner | None = None
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self._over.set()
        await self._runner.cleanup()

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
        fault = self.faults.popleft() if self.faults else self.always
        if fault in {"401", "429", "500"} or request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "refused"}}, status=int(fault) if fault.isdigit() else 401)
        if fault == "hang":
            await self._over.wait()
        if fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        if fault == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        if fault == "slow":
            await asyncio.sleep(1.0)
        words = await asyncio.to_thread(self._words_in, pcm)
        return web.json_response({"text": " ".join(word.text for word in words)})
