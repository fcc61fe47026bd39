"""PostgreSQL and Redis from testcontainers, and whether a Docker engine is there to run them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

POSTGRES_IMAGE = "postgres:17-alpine"
REDIS_IMAGE = "redis:7-alpine"

# testcontainers reads these when it is imported. A published port is reached on 127.0.0.1 even where the tests' own
# machine looks like a container; and its reaper image is one more thing to fetch, while our fixtures stop what they start.
os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


@functools.cache
def engine_answers() -> bool:
    """Whether a Docker engine answers within a minute."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL container, as the URL of its maintenance database."""
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def redis() -> Iterator[str]:
    """A Redis container, as a URL."""
    from testcontainers.community.redis import RedisContainer

    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
