"""PostgreSQL and Redis of this run's own, empty, on this machine; the same for every side of every pair."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port

from meetai_local.servers import postgres, valkey

PASSWORD = "for-benchmarks-only"
PSQL = postgres.PROGRAMS / "psql"


class Servers(Struct, frozen=True):
    """Where they are."""

    database_url: str
    redis_url: str


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Both servers, for as long as the block runs; their data is dropped with it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        data = Path(opened.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="servers-")))
        data.chmod(0o711)  # PostgreSQL runs as an account of its own where we are root
        ports = free_port(), free_port()
        postgres_part = postgres.part(data / "postgres", port=ports[0], password=PASSWORD)
        redis_part = valkey.part(data / "redis", port=ports[1], password=PASSWORD)
        database = opened.enter_context(EmbeddedServer(postgres_part, url=postgres.url(ports[0], PASSWORD)))
        redis = opened.enter_context(EmbeddedServer(redis_part, url=valkey.url(ports[1], PASSWORD)))
        yield Servers(database.url, redis.url)
