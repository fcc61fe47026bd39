"""A server that speaks the wire format of Deepgram's `/v1/speak`, by WebSocket and by HTTP, and misbehaves when it is told to.

Sources: developers.deepgram.com/reference/text-to-speech/speak-streaming, …/speak-request.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from types import TracebackType
from typing import Literal, Self

from aiohttp import WSMsgType, web

KEY = "dg-key-for-tests"
RATE = 24_000

Fault = Literal["none", "401", "429", "500", "hang", "cut", "cut midway", "garbage", "error"]


class SpeakServer:
    """Listens on a free port of 127.0.0.1 while its context is open.

    Attributes:
        faults: What happens to the next connections, in order; those after the last go well.
        always: What happens to every connection beyond those.
        models: The model of each connection.
        spoken: The texts, one a flush.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.always: Fault = "none"
        self.models: list[str] = []
        self.spoken: list[str] = []
        self.base_url = ""
        self._runner: web.AppRunner | None = None
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/speak", self._connect)
        app.router.add_post("/v1/speak", self._post)
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

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        self.models.append(request.query["model"])
        fault = self.faults.popleft() if self.faults else self.always
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
        fault = self.faults.popleft() if self.faults else self.always
        if fault == "hang":
            await self._over.wait()
        if fault != "none":
            return web.Response(status=int(fault) if fault.isdigit() else 500)
        self.spoken.append((await request.json())["text"])
        return web.Response(body=_tone(1.0), content_type="audio/l16")

    async def _say(self, socket: web.WebSocketResponse, request: web.Request, fault: Fault) -> None:
        match fault:
            case "hang":
                await self._over.wait()
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
