"""Reads back the events that reached Inngest, or the recorder that stands in for it: the same call for both."""

from __future__ import annotations

from typing import Any, Literal

import httpx

from meetai_local.servers.recorder import SERVER_NAME

TIMEOUT_SECONDS = 5.0
PAGE_EVENTS = 100  # the most that Inngest's GET /v1/events gives at once


async def received_events(name: str, *, base_url: str) -> list[dict[str, Any]]:
    """The events of that name, oldest first, each with `id`, `name`, `data`, `ts`; a repeated id is there twice.

    `base_url` is `INNGEST_BASE_URL` of the stack's environment.

    Raises:
        httpx.HTTPError: Nothing answers there, or not as Inngest does.
    """
    async with httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        response = await client.get("/v1/events", params={"name": name, "limit": PAGE_EVENTS})
        response.raise_for_status()
        events: list[dict[str, Any]] = response.json()["data"]
    return [event for event in reversed(events) if event["name"] == name]


async def receiver_kind(*, base_url: str) -> Literal["Inngest", "event recorder"]:
    """What answers there, in the words to show a person."""
    async with httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        response = await client.get("/health")
    return "event recorder" if response.headers.get("server", "").startswith(SERVER_NAME) else "Inngest"
