"""A server that speaks the wire format of Deepgram's `/v1/listen`, and misbehaves when it is told to.

Sources: developers.deepgram.com/reference/speech-to-text/listen-streaming, …/docs/close-stream, …/docs/keep-alive.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal

from aiohttp import WSMsgType, web
from tests.servers.provider_server import ProviderServer
from tests.servers.spoken_reference import BYTES_A_SECOND, Word

KEY = "dg-key-for-tests"
INTERIM_SECONDS = 1.0
FINAL_SECONDS = 4.0

Fault = Literal[
    "none",
    "401",
    "429",
    "500",
    "hang at connect",
    "hang",
    "cut after an interim",
    "cut before the last words",
    "error after an interim",
    "garbage",
    "slow",
]


class Listened:
    """One connection that was accepted."""

    def __init__(self, query: dict[str, str]) -> None:
        self.query = query
        self.audio = bytearray()
        self.kinds: list[str] = []


class DeepgramServer(ProviderServer[Fault]):
    """A `ProviderServer`; what it has beside that is named here.

    Args:
        words_in: The words of some audio. May take its time: it is called in a thread.

    Attributes:
        refused_languages: Connections in these are refused with 400: no model has them.
        attempts: Connections asked for.
        listened: Connections accepted.
        open: Connections that are open now.
    """

    def __init__(self, words_in: Callable[[bytes], list[Word]]) -> None:
        super().__init__([web.get("/v1/listen", self._listen)], well="none")
        self.refused_languages: set[str] = set()
        self.attempts = 0
        self.listened: list[Listened] = []
        self.open = 0
        self._words_in = words_in

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        fault = self._next_fault()
        if fault in {"401", "429", "500"} or request.headers.get("Authorization") != f"Token {KEY}":
            return web.json_response({"err_code": "REFUSED"}, status=int(fault) if fault.isdigit() else 401)
        if request.query.get("language") in self.refused_languages:
            return web.json_response({"err_code": "Bad Request"}, status=400)
        if fault == "hang at connect":
            await self._hang()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        listened = Listened(dict(request.query))
        self.listened.append(listened)
        self.open += 1
        try:
            await _Listening(socket, request, listened, fault, self._words_in).run()
        finally:
            self.open -= 1
        return socket


class _Listening:
    """What one connection hears and says."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        listened: Listened,
        fault: Fault,
        words_in: Callable[[bytes], list[Word]],
    ) -> None:
        self._socket = socket
        self._request = request
        self._listened = listened
        self._fault = fault
        self._words_in = words_in
        self._final_to = 0.0
        self._said_to = 0.0

    async def run(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                if not self._listened.audio:
                    await self._send({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.0})
                self._listened.audio += message.data
                if not await self._answer():
                    return
            elif message.type is WSMsgType.TEXT:
                kind = json.loads(message.data)["type"]
                self._listened.kinds.append(kind)
                if kind == "CloseStream":
                    await self._close()
                    return

    async def _answer(self) -> bool:
        """What is said while audio comes in. False: the connection is gone."""
        seconds = len(self._listened.audio) / BYTES_A_SECOND
        if self._fault == "hang" or seconds < self._said_to + INTERIM_SECONDS:
            return True
        self._said_to = seconds
        if self._fault == "garbage":
            await self._garbage()
            return True
        is_final = seconds >= self._final_to + FINAL_SECONDS
        await self._results(is_final=is_final)
        if self._fault == "cut after an interim" and not is_final:
            self._cut()
            return False
        if self._fault == "error after an interim" and not is_final:
            await self._socket.close(code=1011, message=b"NET-0000")
            return False
        return True

    async def _close(self) -> None:
        if self._fault == "hang":
            await asyncio.Event().wait()
        if self._fault == "cut before the last words":
            self._cut()
            return
        if self._fault == "slow":
            await asyncio.sleep(1.0)
        if self._fault == "garbage":
            await self._garbage()
        await self._results(is_final=True, speech_final=True)
        await self._send({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self._final_to})
        await self._send({"type": "Metadata", "request_id": "r", "duration": self._said_to, "channels": 1})
        await self._socket.close()

    async def _results(self, *, is_final: bool, speech_final: bool = False) -> None:
        seconds = len(self._listened.audio) / BYTES_A_SECOND
        all_words = await asyncio.to_thread(self._words_in, bytes(self._listened.audio))
        # A word that is still being said isn't final yet.
        until = seconds if speech_final else seconds - 0.3
        words = [
            word for word in all_words if word.start >= self._final_to - 0.001 and (not is_final or word.end <= until)
        ]
        if is_final and words:
            self._final_to = words[-1].end
        await self._send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": seconds,
                "start": 0.0,
                "is_final": is_final,
                "speech_final": speech_final,
                "channel": {"alternatives": [_alternative(words)]},
                "metadata": {"request_id": "r", "model_uuid": "m"},
            }
        )

    async def _garbage(self) -> None:
        for text in (
            "{not json",
            '{"type":"Results"}',
            '{"type":7}',
            "[]",
            '{"type":"Unheard"}',
            "\ud83c".encode("utf-8", "replace").decode(),
        ):
            await self._socket.send_str(text)
        await self._socket.send_bytes(b"\x00\x01")

    async def _send(self, message: dict[str, Any]) -> None:
        if self._fault != "hang":
            await self._socket.send_str(json.dumps(message))

    def _cut(self) -> None:
        transport = self._request.transport
        assert transport is not None
        transport.abort()


def _alternative(words: list[Word]) -> dict[str, Any]:
    return {
        "transcript": " ".join(word.text for word in words),
        "confidence": 0.98 if words else 0.0,
        "words": [
            {"word": word.text, "punctuated_word": word.text, "start": word.start, "end": word.end, "confidence": 0.98}
            for word in words
        ],
    }
