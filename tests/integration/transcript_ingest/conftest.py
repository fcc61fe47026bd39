"""A migrated database, a client of the stream's server, and a replica over both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, ingest

from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """An empty database with this service's schema."""
    migrate(postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    return postgres_url


@pytest.fixture
def stream_client(redis_url: str) -> Iterator[redis.Redis]:
    """The server that the streams are on, as the agent sees it."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def replica(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Ingest]:
    """A running service."""
    with ingest(tmp_path, database_url, redis_url) as running:
        yield running
