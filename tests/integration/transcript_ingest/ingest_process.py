"""The service as it runs in production: `python -m meetai_transcript_ingest` in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from tests.servers.ports import free_port
from tests.servers.service_process import ServiceProcess

from meetai_contracts.api import Integrity, StoredLine, TranscriptPage
from meetai_servicekit.auth import new_service_key

READER_KEY, READER_ENTRY = new_service_key("reader", frozenset({"transcripts:read"}))
ADMIN_KEY, ADMIN_ENTRY = new_service_key("admin", frozenset({"transcripts:admin", "transcripts:erase"}))
SUMMARISER_KEY, SUMMARISER_ENTRY = new_service_key("minutes", frozenset({"transcripts:summarise"}))
OTHER_KEY, OTHER_ENTRY = new_service_key("other", frozenset({"events:read"}))


def environment(database_url: str, redis_url: str, port: int) -> dict[str, str]:
    """All that the service needs."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SERVICE_KEYS": f"{READER_ENTRY},{ADMIN_ENTRY},{SUMMARISER_ENTRY},{OTHER_ENTRY}",
        "PORT": str(port),
        "COMPLETION_QUIET_SECONDS": "0",
    }


class Ingest(ServiceProcess):
    """One replica of the service, and how a backend asks it."""

    def get(self, path: str, key: str | None = READER_KEY, **query: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(self.url + path, params=query or None, headers=headers, timeout=15)

    def ask(self, method: str, path: str, key: str | None = ADMIN_KEY, **options: Any) -> httpx.Response:
        """Any request, as an administrator by default."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **options)

    def page(self, meeting_id: str, **query: Any) -> TranscriptPage:
        response = self.get(f"/v1/meetings/{quote(meeting_id, safe='')}/transcript", **query).raise_for_status()
        return msgspec.json.decode(response.content, type=TranscriptPage)

    def transcript(self, meeting_id: str, *, limit: int = 1000) -> list[StoredLine]:
        """All pages."""
        page = self.page(meeting_id, limit=limit)
        lines = list(page.lines)
        while page.next is not None:
            page = self.page(meeting_id, limit=limit, cursor=page.next)
            lines.extend(page.lines)
        return lines

    def integrity(self, meeting_id: str) -> Integrity:
        response = self.get(f"/v1/meetings/{quote(meeting_id, safe='')}/integrity").raise_for_status()
        return msgspec.json.decode(response.content, type=Integrity)

    def is_complete(self, meeting_id: str) -> bool:
        response = self.get(f"/v1/meetings/{quote(meeting_id, safe='')}/integrity")
        return response.status_code == 200 and response.json()["verdict"] == "complete"

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        samples = [
            line for line in self.get("/metrics").text.splitlines() if line.partition("{")[0].split(" ")[0] == name
        ]
        return sum(float(line.rpartition(" ")[2]) for line in samples)


@contextmanager
def ingest(
    folder: Path, database_url: str, redis_url: str, *, ready: bool = True, extra: Mapping[str, str] | None = None
) -> Iterator[Ingest]:
    """Start a replica, wait until it is ready (or only alive), and end it with the block."""
    port = free_port()
    environ = {**environment(database_url, redis_url, port), **(extra or {})}
    with Ingest("meetai_transcript_ingest", folder, port, environ).running(ready=ready) as replica:
        yield replica
