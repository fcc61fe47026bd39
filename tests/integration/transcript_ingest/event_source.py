"""A client of server-sent events, as HTML defines them: it remembers the last id, and goes on from there when it connects again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from urllib.parse import quote

import httpx
import msgspec
from tests.integration.transcript_ingest.ingest_process import READER_KEY

from meetai_contracts.api import StoredLine


class EventSource:
    """Follows one meeting.

    Attributes:
        lines: What it was given, in that order, over all its connections.
        ids: The events' ids.
        connections: How often it has connected.
        ends: How often it was told that the meeting is over.
    """

    def __init__(self, meeting_id: str, last_id: str = "") -> None:
        self.lines: list[StoredLine] = []
        self.ids: list[int] = []
        self.connections = 0
        self.ends = 0
        self.last_id = last_id
        self._path = f"/v1/meetings/{quote(meeting_id, safe='')}/stream"

    async def read(self, client: httpx.AsyncClient, url: str, events: int | None = None) -> None:
        """One connection: so many events, or until it ends."""
        headers = {"Authorization": f"Bearer {READER_KEY}"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        async with client.stream("GET", url + self._path, headers=headers) as response:
            response.raise_for_status()
            self.connections += 1
            async with aclosing(self._events(response)) as given:
                async for event in given:
                    if event["event"] == "end":
                        self.ends += 1
                        continue
                    assert event["event"] == "line"
                    self.last_id = event["id"]
                    self.ids.append(int(event["id"]))
                    self.lines.append(msgspec.json.decode(event["data"], type=StoredLine))
                    if events is not None:
                        events -= 1
                        if events == 0:
                            return

    async def keep_reading(self, client: httpx.AsyncClient, *urls: str) -> None:
        """Connect again whenever a connection ends or can't be had, at the next of these addresses."""
        turn = 0
        while True:
            with suppress(httpx.HTTPError):
                await self.read(client, urls[turn % len(urls)])
            turn += 1
            await asyncio.sleep(0.05)  # what `retry` says, in a hurry

    async def _events(self, response: httpx.Response) -> AsyncGenerator[dict[str, str]]:
        event: dict[str, str] = {}
        async for line in response.aiter_lines():
            if line:
                field, _, value = line.partition(":")
                event[field] = value.removeprefix(" ")
            elif "data" in event:
                yield event
                event = {}
            else:
                event = {}


def client() -> httpx.AsyncClient:
    """For any number of event sources."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=httpx.Timeout(30), limits=limits)
