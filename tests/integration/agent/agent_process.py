"""The worker as it runs in production, `python -m meetai_agent` in a process of its own, and a person to talk to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
from livekit import api
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.ports import free_port

from meetai_contracts.api import TokenRequest, TokenResponse
from meetai_contracts.room import AgentData, MeetingData, RoomMetadata, write_room_metadata
from meetai_local.demo.participant import SimulatedParticipant

AGENT_NAME = "meetai-test"
START_SECONDS = 180
"""5 to 12 s alone on two cores: the worker, its fork server and each idle process import the framework. Others use the machine."""


class Issuer:
    """Lets anyone in, and asks for the agent as the token service does."""

    def __init__(self, livekit_url: str, *, metadata: str | None = None, dispatches: int = 1) -> None:
        self._url = livekit_url
        self._metadata = metadata
        self._dispatches = dispatches

    async def issue_token(self, meeting_id: str, request: TokenRequest) -> TokenResponse:
        metadata = RoomMetadata(1, MeetingData(meeting_id, "Standup"), AgentData(name="Scribe", instructions=""))
        configuration = api.RoomConfiguration(
            metadata=write_room_metadata(metadata) if self._metadata is None else self._metadata,
            agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME)] * self._dispatches,
        )
        token = (
            api.AccessToken(API_KEY, API_SECRET)
            .with_identity(request.user_id)
            .with_name(request.user_name)
            .with_grants(api.VideoGrants(room_join=True, room=meeting_id))
            .with_room_config(configuration)
        )
        return TokenResponse(
            server_url=self._url,
            participant_token=token.to_jwt(),
            room_name=meeting_id,
            expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )


def person(
    livekit_url: str, meeting_id: str, *, name: str = "Maya", metadata: str | None = None, dispatches: int = 1
) -> SimulatedParticipant:
    """Someone who joins with an open microphone, and has so many agents sent if the room is theirs."""
    request = TokenRequest(user_id=name.lower(), user_name=name)
    return SimulatedParticipant(Issuer(livekit_url, metadata=metadata, dispatches=dispatches), meeting_id, request)


async def send_agent(livekit_url: str, meeting_id: str) -> None:
    """Ask for one more agent in a room that is there."""
    async with api.LiveKitAPI(livekit_url.replace("ws://", "http://"), API_KEY, API_SECRET) as livekit:
        request = api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=meeting_id)
        await livekit.agent_dispatch.create_dispatch(request)


class AgentProcess:
    """The running worker."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, spool: Path) -> None:
        self.process = process
        self.base = f"http://127.0.0.1:{port}"
        self._log = log
        self._spool = spool

    def ready(self) -> bool:
        """Whether `/readyz` says so."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.base}/readyz", timeout=5, trust_env=False).status_code == 200
        self.check_alive()
        return False

    def checks(self) -> dict[str, str]:
        """What `/readyz` says of each dependency; nothing while it doesn't answer."""
        with suppress(httpx.TransportError):
            checks: dict[str, str] = httpx.get(f"{self.base}/readyz", timeout=5, trust_env=False).json()["checks"]
            return checks
        self.check_alive()
        return {}

    def metrics(self) -> str:
        return httpx.get(f"{self.base}/metrics", timeout=5, trust_env=False).text

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name."""
        lines = self._log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and f'"{name}"' in line]
        return [event for event in found if event["event"] == name]

    def log(self) -> str:
        return self._log.read_text()

    def job_pids(self) -> list[int]:
        """The processes that have a spool open."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [each.pid for each in family if self._has_spool(each)]

    def check_alive(self) -> None:
        """Raises RuntimeError: it has ended, with the end of its log."""
        if self.process.poll() is not None:
            raise RuntimeError(f"exit {self.process.returncode}\n{self.log()[-3000:]}")

    def terminate(self, seconds: float) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def _has_spool(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return any(Path(file.path).parent == self._spool for file in process.open_files())
        return False


@contextmanager
def agent_process(
    folder: Path,
    livekit_url: str,
    redis_url: str,
    extra: Mapping[str, str] | None = None,
    *,
    module: str = "meetai_agent",
    python: Path = Path(sys.executable),
) -> Iterator[AgentProcess]:
    """Start the worker, and end it and all its processes with the block. `module`: another one that runs it; `python`: elsewhere."""
    port = free_port()
    log_file, spool, metrics = folder / f"agent-{port}.log", folder / "spool", folder / f"metrics-{port}"
    metrics.mkdir()
    # One of its own, removed with what a killed process leaves in it. Not in `folder`: a socket's path has 107 bytes at most.
    temporary = TemporaryDirectory(prefix="agent-", ignore_cleanup_errors=True)
    environment = {
        **os.environ,
        "LIVEKIT_URL": livekit_url,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
        "REDIS_URL": redis_url,
        "SPOOL_DIR": str(spool),
        "AGENT_NAME": AGENT_NAME,
        "PORT": str(port),
        "DRAIN_SECONDS": "0",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "TMPDIR": temporary.name,
        **(extra or {}),
    }
    with temporary, log_file.open("wb") as log:
        process = subprocess.Popen([python, "-m", module], env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield AgentProcess(process, port, log_file, spool)
        finally:
            end_family(process)


def end_family(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker and what it started."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(timeout=10)
    for each in family:
        with suppress(psutil.Error):
            each.kill()
