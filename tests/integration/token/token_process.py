"""The service as it runs in production: `python -m meetai_token` in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.ports import free_port
from tests.servers.service_process import ServiceProcess

from meetai_servicekit.auth import new_service_key

KEYS = {
    name: new_service_key(name, frozenset(scopes))
    for name, scopes in {
        "host": {"tokens:host"},
        "participant": {"tokens:participant"},
        "viewer": {"tokens:viewer"},
        "reader": {"transcripts:read"},
        "watcher": {"meetings:read"},
        "admin": {"meetings:admin"},
        "everything": {"tokens:host", "meetings:admin"},
    }.items()
}


def environment(livekit_url: str, port: int) -> dict[str, str]:
    """All that the service needs."""
    return {
        "LIVEKIT_URL": livekit_url,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "SERVICE_KEYS": ",".join(entry for _, entry in KEYS.values()),
        "PORT": str(port),
    }


class TokenProcess(ServiceProcess):
    """The running service, and how a backend calls it."""

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=5)

    def call(self, method: str, path: str, key: str) -> httpx.Response:
        """A request without a body, by the holder of one of `KEYS`."""
        headers = {"Authorization": f"Bearer {KEYS[key][0]}"}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=5)

    def ask(self, quoted_meeting_id: str, body: object, key: str | None = "host") -> httpx.Response:
        """Ask for a token; `body` is sent as JSON, or as it is where it is bytes."""
        headers = {"Authorization": f"Bearer {KEYS[key][0]}"} if key else {}
        url = f"{self.url}/v1/meetings/{quoted_meeting_id}/tokens"
        if isinstance(body, bytes):
            return httpx.post(url, content=body, headers=headers, timeout=5)
        return httpx.post(url, json=body, headers=headers, timeout=5)


@contextmanager
def token_process(folder: Path, livekit_url: str, extra: Mapping[str, str] | None = None) -> Iterator[TokenProcess]:
    """Start the service, wait until it is alive, and end it with the block."""
    port = free_port()
    environ = {**environment(livekit_url, port), **(extra or {})}
    with TokenProcess("meetai_token", folder, port, environ).running(ready=False) as service:
        yield service
