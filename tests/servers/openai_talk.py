"""A server that speaks the wire formats of OpenAI's chat completions and of its speech, and misbehaves when it is told to.

Sources: platform.openai.com/docs/api-reference/chat/streaming, …/audio/createSpeech.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections import deque
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

KEY = "sk-for-tests"
RATE = 24_000
SPOKEN_SECONDS = 1.0
PIECE_BYTES = 4_800

Fault = Literal["none", "401", "429", "500", "hang", "cut", "cut midway", "garbage", "empty", "tool"]


class OpenAIServer:
    """Listens on a free port of 127.0.0.1 while its context is open.

    Attributes:
        says: What the model answers, a token a word.
        tool: The name and arguments of the call that the fault `tool` makes instead.
        faults: What happens to the next requests for an answer, in order; those after the last go well.
        always: What happens to every request for an answer beyond those.
        speech_faults, speech_always: The same for requests for speech.
        ignores_stream_format: Answers with plain audio whatever was asked for, as compatible servers do.
        asked, spoken: The bodies of the requests.
    """

    def __init__(self) -> None:
        self.says = "It is ten past twelve."
        self.tool: tuple[str, dict[str, Any]] = ("", {})
        self.faults: deque[Fault] = deque()
        self.always: Fault = "none"
        self.speech_faults: deque[Fault] = deque()
        self.speech_always: Fault = "none"
        self.ignores_stream_format = False
        self.asked: list[dict[str, Any]] = []
        self.spoken: list[dict[str, Any]] = []
        self.base_url = ""
        self._runner: web.AppRunner | None = None
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/audio/speech", self._speak)
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

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        fault = self.faults.popleft() if self.faults else self.always
        if (refused := await self._refuse(request, fault)) is not None:
            return refused
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        match fault:
            case "garbage":
                await stream.write(b"data: {no json\n\n")
            case "empty":
                pass
            case "tool":
                name, arguments = self.tool
                call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
                await stream.write(_event({"role": "assistant", "content": None, "tool_calls": [call]}))
                for piece in _pieces(json.dumps(arguments)):
                    part = {"index": 0, "function": {"arguments": piece}}
                    await stream.write(_event({"tool_calls": [part]}))
                await stream.write(_event({}, finish="tool_calls"))
            case _:
                words = self.says.split(" ")
                for at, word in enumerate(words):
                    if fault == "cut midway" and at == len(words) // 2:
                        _abort(request)
                        return stream
                    await stream.write(_event({"role": "assistant", "content": f"{' ' if at else ''}{word}"}))
                await stream.write(_event({}, finish="stop"))
        await stream.write(b"data: [DONE]\n\n")
        return stream

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.spoken.append(body)
        fault = self.speech_faults.popleft() if self.speech_faults else self.speech_always
        if (refused := await self._refuse(request, fault)) is not None:
            return refused
        if fault == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        sse = body["stream_format"] == "sse" and not self.ignores_stream_format
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream" if sse else "audio/wav"})
        await stream.prepare(request)
        sound = b"" if fault == "empty" else _wav(_tone(SPOKEN_SECONDS))
        for at in range(0, len(sound), PIECE_BYTES):
            if fault == "cut midway" and at > len(sound) // 2:
                _abort(request)
                return stream
            piece = sound[at : at + PIECE_BYTES]
            event = {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
            await stream.write(f"data: {json.dumps(event)}\n\n".encode() if sse else piece)
        return stream

    async def _refuse(self, request: web.Request, fault: Fault) -> web.Response | None:
        if fault.isdigit() or request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "refused"}}, status=int(fault) if fault.isdigit() else 401)
        if fault == "hang":
            await self._over.wait()
        if fault == "cut":
            _abort(request)
        return None


def _event(delta: dict[str, Any], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _tone(seconds: float) -> bytes:
    """A square wave of 200 Hz: sound that is not silence."""
    half = RATE // 400
    period = b"\x00\x10" * half + b"\x00\xf0" * half
    return period * int(seconds * 200)


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm)
    return file.getvalue()


def _abort(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
