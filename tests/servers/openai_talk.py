"""A server that speaks the wire formats of OpenAI's chat completions and of its speech, and misbehaves when it is told to.

Sources: platform.openai.com/docs/api-reference/chat/streaming, …/audio/createSpeech.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections import deque
from typing import Any, Literal

from aiohttp import web
from tests.servers.provider_server import ProviderServer

KEY = "sk-for-tests"
RATE = 24_000
SPOKEN_SECONDS = 1.0
PIECE_BYTES = 4_800

Fault = Literal["none", "401", "429", "500", "hang", "cut", "cut midway", "garbage", "miscoded", "empty", "tool"]


class OpenAIServer(ProviderServer[Fault]):
    """A `ProviderServer`; what it has beside that is named here.

    Attributes:
        says: What the model answers, a token a word.
        tool: The name and arguments of the call that the fault `tool` makes instead.
        speech_faults, speech_always: The same for requests for speech.
        ignores_stream_format: Answers with plain audio whatever was asked for, as compatible servers do.
        asked, spoken: The bodies of the requests.
    """

    def __init__(self) -> None:
        super().__init__(
            [web.post("/v1/chat/completions", self._complete), web.post("/v1/audio/speech", self._speak)], well="none"
        )
        self.says = "It is ten past twelve."
        self.tool: tuple[str, dict[str, Any]] = ("", {})
        self.speech_faults: deque[Fault] = deque()
        self.speech_always: Fault = "none"
        self.ignores_stream_format = False
        self.asked: list[dict[str, Any]] = []
        self.spoken: list[dict[str, Any]] = []

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        fault = self._next_fault()
        if (refused := await self._refuse(request, fault)) is not None:
            return refused
        if not self.asked[-1].get("stream"):
            return _whole(self.says, fault)
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
            await self._hang()
        if fault == "cut":
            _abort(request)
        return None


def _whole(says: str, fault: Fault) -> web.Response:
    """The answer in one piece; cut midway it is what a model says that has come to its limit."""
    if fault == "garbage":
        return web.Response(text="{no json", content_type="application/json")
    if fault == "miscoded":
        return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})
    cut = fault == "cut midway"
    message = {"role": "assistant", "content": says[: len(says) // 2] if cut else says}
    choice = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
    choices = [] if fault == "empty" else [choice]
    return web.json_response(
        {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    )


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
