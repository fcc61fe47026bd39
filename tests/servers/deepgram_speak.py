"""A server that speaks the wire format of Deepgram's `/v1/speak`, by WebSocket and by HTTP, and misbehaves when it is told to.

Sources: developers.deepgram.com/reference/text-to-speech/speak-streaming, …/speak-request.
"""

from __future__ import annotations

import json
from typing import Literal

from aiohttp import WSMsgType, web
from tests.servers.provider_server import ProviderServer

KEY = "dg-key-for-tests"
RATE = 24_000

Fault = Literal["none", "401", "429", "500", "hang", "cut", "cut midway", "garbage", "error"]


class SpeakServer(ProviderServer[Fault]):
    """A `ProviderServer`; what it has beside that is named here.

    Attributes:
        models: The model of each connection.
        spoken: The texts, one a flush.
    """

    def __init__(self) -> None:
        super().__init__([web.get("/v1/speak", self._connect), web.post("/v1/speak", self._post)], well="none")
        self.models: list[str] = []
        self.spoken: list[str] = []

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        self.models.append(request.query["model"])
        fault = self._next_fault()
        if fault.isdigit() or request.headers.get("Authorization") != f"Token {KEY}":
            return web.Response(status=int(fault) if fault.isdigit() else 401)
        assert (request.query["encoding"], request.query["sample_rate"]) == ("linear16", str(RATE))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        said = ""
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            command = json.loads(message.data)
            match command["type"]:
                case "Speak":
                    said += command["text"]
                case "Flush" if said:
                    self.spoken.append(said.strip())
                    said = ""
                    await self._say(socket, request, fault)
                case "Close":
                    break
        return socket

    async def _post(self, request: web.Request) -> web.StreamResponse:
        """What a fallback tries, to see whether the provider is back."""
        self.models.append(request.query["model"])
        fault = self._next_fault()
        if fault == "hang":
            await self._hang()
        if fault != "none":
            return web.Response(status=int(fault) if fault.isdigit() else 500)
        self.spoken.append((await request.json())["text"])
        return web.Response(body=_tone(1.0), content_type="audio/l16")

    async def _say(self, socket: web.WebSocketResponse, request: web.Request, fault: Fault) -> None:
        match fault:
            case "hang":
                await self._hang()
            case "cut" | "cut midway":
                if fault == "cut midway":
                    await socket.send_bytes(_tone(0.5))
                assert request.transport is not None
                request.transport.abort()
            case "garbage":
                await socket.send_str("<html>")
            case "error":
                await socket.send_json({"type": "Error", "description": "no"})
            case _:
                await socket.send_bytes(_tone(1.0))
                await socket.send_json({"type": "Flushed", "sequence_id": 0})


def _tone(seconds: float) -> bytes:
    """A square wave of 200 Hz: sound that is not silence."""
    half = RATE // 400
    period = b"\x00\x10" * half + b"\x00\xf0" * half
    return period * int(seconds * 200)
