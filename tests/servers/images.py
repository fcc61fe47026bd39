"""The services' images as this tree makes them, and a service as a container of one, confined as in production."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from testcontainers.core.container import DockerContainer
from tests.servers import containers

REPOSITORY = Path(__file__).parents[2]
IMAGES = ("token", "webhook-bridge", "transcript-ingest", "agent", "agent-local")
BUILD_SECONDS = 1_200
"""80 s on two idle cores with nothing cached; a few when `make images` has just run."""
WITHOUT_ENGINE_KEY = "MEETAI_WITHOUT_ENGINE"
"""CI says by 1 that it has found no Docker engine; then tests of containers aren't collected, for a skip would fail it."""

CONFINED: Mapping[str, Any] = {
    "network_mode": "host",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 512,
    "mem_limit": "2g",
}
"""As the charts and the compose file have it, but for the network: LiveKit's media and all else stay on 127.0.0.1."""


def files_that_need_no_engine() -> list[str]:
    """For a folder's `collect_ignore_glob`: all of its tests where CI has no engine."""
    return ["test_*.py"] if os.environ.get(WITHOUT_ENGINE_KEY) == "1" else []


def built(*options: str, suffix: str = "", which: Sequence[str] = IMAGES) -> dict[str, str]:
    """Build images, all in one go as `make images` does, and return each one's id.

    Args:
        options: Further ones for `docker build`.
        suffix: Tells these from others that this tree has built.
        which: Their names.
    """
    if not containers.engine_answers():
        pytest.skip("no Docker engine answers: images can't be built")
    tag = f"tests-{zlib.crc32(str(REPOSITORY).encode()):08x}{suffix}"
    subprocess.run(
        [REPOSITORY / "deploy/images/build", *which],
        env={
            **os.environ,
            "PREFIX": "meetai/",
            "TAG": tag,
            "DOCKER_BUILD_ARGS": " ".join((os.environ.get("DOCKER_BUILD_ARGS", ""), *options)),
        },
        timeout=BUILD_SECONDS,
        check=True,
    )
    return {name: docker("image", "inspect", "--format", "{{.Id}}", f"meetai/{name}:{tag}").strip() for name in which}


def docker(*arguments: str) -> str:
    """What a `docker` command prints.

    Raises:
        AssertionError: it failed; with what it said.
    """
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


class ServiceContainer:
    """`with ServiceContainer(image, environment) as service:` it runs inside, and is gone afterwards.

    Args:
        image: Its id.
        environment: All that it is told.
        arguments: A sub-command.
        writable: Folders in memory; all else is read-only.
    """

    def __init__(
        self,
        image: str,
        environment: Mapping[str, str],
        *,
        arguments: Sequence[str] = (),
        writable: Sequence[str] = (),
    ) -> None:
        self._container = DockerContainer(image, env=dict(environment)).with_kwargs(**CONFINED)
        self._container.with_command(list(arguments))
        self._container.tmpfs.update(dict.fromkeys(writable, "size=64m,mode=1777"))

    def __enter__(self) -> Self:
        self._container.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.log()[-4000:])
        self._container.stop(force=True)

    def exit_code(self, *, seconds: float) -> int:
        """Wait for its end."""
        return int(self._container.get_wrapped_container().wait(timeout=seconds)["StatusCode"])

    def terminate(self, *, seconds: float) -> int:
        """SIGTERM to process 1, as `docker stop` and Kubernetes send it; returns the exit code."""
        self._container.get_wrapped_container().kill(signal="SIGTERM")
        return self.exit_code(seconds=seconds)

    def is_running(self) -> bool:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return bool(wrapped.status == "running")

    def log(self) -> str:
        return str(self._container.get_wrapped_container().logs().decode(errors="replace"))
