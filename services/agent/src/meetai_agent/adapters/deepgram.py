"""Deepgram's streaming recogniser, by LiveKit's plugin.

Owns the options, and the WebSocket: the plugin (1.8.9) ends its stream without an error when the connection is cut after the
last audio, and up to 5 s late. Both are mended where aiohttp lets one bring a WebSocket class of one's own.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp
import msgspec
from livekit.plugins import deepgram

from meetai_agent.adapters.microphone import SAMPLE_RATE_HZ

ENDPOINTING_MS: Final = 300
"""A pause this long makes a final. The detector ends the stream after 400 ms; shorter would cut sentences into words."""
CLOUD_URL: Final = "https://api.deepgram.com/v1"
_ENDED: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


class ListenSocket(aiohttp.ClientWebSocketResponse):
    """A connection that ends well only after Deepgram's last word, the `Metadata` message, and says so at once.

    Source: developers.deepgram.com/docs/close-stream.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._owing = False
        self._over = asyncio.Event()

    async def receive(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - aiohttp's signature
        """As aiohttp's.

        Raises:
            aiohttp.ClientConnectionError: it ended between the last audio and the last word.
        """
        message = await super().receive(timeout)
        if message.type is aiohttp.WSMsgType.TEXT:
            self._owing = self._owing and _kind(message.data) != "Metadata"
        elif message.type in _ENDED:
            self._over.set()
            if self._owing:
                raise aiohttp.ClientConnectionError(f"closed early, code {self.close_code}")
        return message

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """As aiohttp's, but for the plugin's keep-alive: audio flows for as long as there is a connection.

        The plugin's loop of keep-alives sleeps 5 s, and its stream doesn't end before that does.
        """
        kind = _kind(data)
        if kind == "KeepAlive":
            await self._over.wait()
            raise aiohttp.ClientConnectionResetError("over")
        self._owing = self._owing or kind == "CloseStream"
        await super().send_str(data, compress)


class _Message(msgspec.Struct):
    type: str = ""


def _kind(data: str) -> str:
    try:
        return msgspec.json.decode(data, type=_Message).type
    except (msgspec.DecodeError, RecursionError):
        return ""


class DeepgramSTT(deepgram.STT):
    """The plugin's recogniser with a session of its own. To be made within an event loop.

    Args:
        base_url: As in `ProviderAccess`.
    """

    def __init__(self, model: str, *, api_key: str, base_url: str | None) -> None:
        self._own_session = aiohttp.ClientSession(ws_response_class=ListenSocket)
        super().__init__(
            model=model,
            # nova-3 alone follows several languages in one stream; a meeting that names its language overrides this.
            language="multi" if model.startswith("nova-3") else "en-US",
            sample_rate=SAMPLE_RATE_HZ,
            smart_format=True,
            endpointing_ms=ENDPOINTING_MS,
            api_key=api_key,
            base_url=f"{(base_url or CLOUD_URL).rstrip('/')}/listen",
            http_session=self._own_session,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._own_session.close()
