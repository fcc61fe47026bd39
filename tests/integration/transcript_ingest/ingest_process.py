"""The service as it runs in production: `python -m meetai_transcript_ingest` in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from tests.servers.embedded import free_port
from tests.waiting import wait_until

from meetai_contracts.api import Integrity, StoredLine, TranscriptPage
from meetai_servicekit.auth import new_service_key

START_SECONDS = 30
"""Two busy cores; alone it takes about 2 s, most of it imports."""
READER_KEY, READER_ENTRY = new_service_key("reader", frozenset({"transcripts:read"}))
ADMIN_KEY, ADMIN_ENTRY = new_service_key("admin", frozenset({"transcripts:admin", "transcripts:erase"}))
OTHER_KEY, OTHER_ENTRY = new_service_key("other", frozenset({"events:read"}))


def environment(database_url: str, redis_url: str, port: int) -> dict[str, str]:
    """All that the service needs."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SERVICE_KEYS": f"{READER_ENTRY},{ADMIN_ENTRY},{OTHER_ENTRY}",
        "PORT": str(port),
        "COMPLETION_QUIET_SECONDS": "0",
    }


class Ingest:
    """One replica of the service, and how a backend asks it."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, extra: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**environment(database_url, redis_url, self.port), **extra}
        self._log = folder / f"ingest-{self.port}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "meetai_transcript_ingest"], env=self._environment, stdout=log, stderr=log
            )

    def restart(self) -> None:
        """Start it again, after it has ended."""
        assert self.process.poll() is not None
        self.process = self._start()

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

    def is_alive(self) -> bool:
        try:
            return self.get("/livez").status_code == 200
        except httpx.TransportError:
            assert self.process.poll() is None, self.log()[-3000:]
            return False

    def is_ready(self) -> bool:
        return self.is_alive() and self.get("/readyz").status_code == 200

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        samples = [
            line for line in self.get("/metrics").text.splitlines() if line.partition("{")[0].split(" ")[0] == name
        ]
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(timeout=10)

    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def ingest(
    folder: Path, database_url: str, redis_url: str, *, ready: bool = True, extra: Mapping[str, str] | None = None
) -> Iterator[Ingest]:
    """Start a replica, wait until it is ready (or only alive), and end it with the block."""
    replica = Ingest(folder, database_url, redis_url, extra or {})
    try:
        wait_until(replica.is_ready if ready else replica.is_alive, seconds=START_SECONDS)
        yield replica
    finally:
        replica.kill()
