"""The compose file as it is, run by Compose: what no registry gives here is made here.

LiveKit's image is made from the server that this machine has built, and the event recorder stands in for Inngest.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.servers.compose import Compose, make_environment
from tests.servers.images import REPOSITORY, docker
from tests.servers.ports import free_ports
from tests.waiting import wait_until

from meetai_local.settings import Ports

SERVICES: Final = ("token", "webhook-bridge", "transcript-ingest", "agent")
HEALTHY_SECONDS: Final = 180
"""The agent imports its framework and loads the speech model: 10 s on an idle machine."""
PYTHON_IMAGE: Final = "python:3.11-slim"
ADDRESSES: Final = {
    "token": "TOKEN_URL",
    "webhook-bridge": "WEBHOOK_BRIDGE_URL",
    "transcript-ingest": "TRANSCRIPT_INGEST_URL",
    "agent": "AGENT_URL",
    "inngest": "INNGEST_BASE_URL",
}


class ComposedService:
    """One service of a compose project."""

    def __init__(self, container: str) -> None:
        """Take the container's id."""
        self._container = container

    def is_healthy(self) -> bool:
        """Whether its health check in the compose file says so."""
        return docker("inspect", "--format", "{{.State.Health.Status}}", self._container).strip() == "healthy"

    def crash(self) -> None:
        """SIGKILL from outside its container, and wait until Compose's restart policy has brought it back, well."""
        restarts = self._restarts()
        docker(
            "run", "--rm", "--pid", "host", PYTHON_IMAGE, "python", "-c", f"import os; os.kill({self._process()}, 9)"
        )
        wait_until(lambda: self._restarts() > restarts and self.is_healthy(), seconds=HEALTHY_SECONDS)

    def _restarts(self) -> int:
        return int(docker("inspect", "--format", "{{.RestartCount}}", self._container))

    def _process(self) -> int:
        return int(docker("inspect", "--format", "{{.State.Pid}}", self._container))

    def terminate(self, *, seconds: float) -> int:
        """SIGTERM, and SIGKILL after that time; returns the exit code."""
        docker("stop", "--time", str(int(seconds)), self._container)
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", self._container))


@contextmanager
def composed(
    images: Mapping[str, str], livekit_server: Path, folder: Path
) -> Iterator[tuple[Mapping[str, str], Mapping[str, ComposedService]]]:
    """Everything is up, as `up --detach` leaves it; yields what a client needs, and the services.

    Args:
        images: Each image's id.
        livekit_server: The program.
        folder: For files.
    """
    run = uuid.uuid4().hex[:8]
    prefix, tag = "meetai-tests/", run
    stand_in = f"{prefix}livekit-server:{run}"
    ports = free_ports()
    env_file = make_environment(folder / "env", _settings(ports, prefix, tag))
    compose = Compose(
        env_file, name=f"meetai-tests-{run}", overrides=[_override(folder, stand_in, f"{prefix}token:{tag}")]
    )
    for name, image in images.items():
        docker("tag", image, f"{prefix}{name}:{tag}")
    _make_livekit_image(livekit_server, stand_in)
    try:
        compose.must("up", "--detach")
        settings = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
        listening = {"inngest": ports.inngest, **{name: getattr(ports, name.replace("-", "_")) for name in SERVICES}}
        addresses = {ADDRESSES[name]: f"http://127.0.0.1:{port}" for name, port in listening.items()}
        services = {name: ComposedService(compose.must("ps", "--quiet", name).strip()) for name in SERVICES}
        try:
            for service in services.values():
                wait_until(service.is_healthy, seconds=HEALTHY_SECONDS)
            yield {**settings, **addresses}, services
        except BaseException:
            print(compose.run("logs", "--tail", "50").stdout)
            raise
    finally:
        compose.run("down", "--volumes", "--timeout", "5")
        docker("image", "rm", stand_in, *(f"{prefix}{name}:{tag}" for name in images))


def _settings(ports: Ports, prefix: str, tag: str) -> str:
    lines = {
        "IMAGE_PREFIX": prefix,
        "IMAGE_TAG": tag,
        "LIVEKIT_PUBLIC_URL": f"ws://127.0.0.1:{ports.livekit}",
        "LIVEKIT_TCP_PORT": ports.postgres,  # neither Postgres nor Redis is published, so their ports are free
        "LIVEKIT_UDP_PORT": ports.livekit_udp,
        "COMPLETION_QUIET_SECONDS": 5,
        "DRAIN_SECONDS": 0,
        **{f"{name.upper()}_PORT": getattr(ports, name) for name in ("livekit", "inngest")},
        **{f"{name.replace('-', '_').upper()}_PORT": getattr(ports, name.replace("-", "_")) for name in SERVICES},
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _override(folder: Path, livekit: str, python: str) -> Path:
    """What differs: two images that come from elsewhere."""
    asks_livekit = "import urllib.request as r; r.urlopen('http://127.0.0.1:7880/', timeout=9)"
    services: dict[str, Any] = {
        "livekit": {"image": livekit, "healthcheck": {"test": ["CMD", "python", "-c", asks_livekit]}},
        "inngest": {
            "image": python,
            "entrypoint": ["python", "-m", "meetai_local.servers.recorder"],
            "command": ["--host", "0.0.0.0", "--port", "8288", "--folder", "/tmp/events"],
            "environment": {"PYTHONPATH": "/recorder"},
            "volumes": [f"{REPOSITORY / 'deploy/local/src'}:/recorder:ro"],
        },
    }
    file = folder / "override.yaml"
    file.write_bytes(msgspec.yaml.encode({"services": services}))
    return file


def _make_livekit_image(program: Path, tag: str) -> None:
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(program, Path(context) / "livekit-server")
        dockerfile = f'FROM {PYTHON_IMAGE}\nCOPY livekit-server /livekit-server\nENTRYPOINT ["/livekit-server"]\n'
        (Path(context) / "Dockerfile").write_text(dockerfile)
        docker("build", "--quiet", "-t", tag, context)
