"""A migrated database, the streams' server as the agent sees it, and a replica over both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, ingest

from meetai_servicekit.postgres import Pool, create_pool, migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_transcript_ingest.adapters.postgres_search import PostgresSearchIndex


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """An empty database with this service's schema."""
    migrate(postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    return postgres_url


@pytest.fixture(scope="module")
def module_database_url(_postgres_admin_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """As `database_url`, for all tests of a file."""
    name = request.node.path.stem
    with psycopg.connect(_postgres_admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        url = urlsplit(_postgres_admin_url)._replace(path=f"/{name}").geturl()
        migrate(url, schema=SCHEMA, migrations=MIGRATIONS)
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def replica(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, _redis_session_url: str
) -> Iterator[Ingest]:
    """A running service for all tests of a file; each takes meetings of its own."""
    with ingest(tmp_path_factory.mktemp("ingest"), module_database_url, _redis_session_url) as running:
        yield running


@pytest.fixture
def stream_client(_redis_session_url: str) -> Iterator[redis.Redis]:
    """The server that the streams are on."""
    with redis.Redis.from_url(_redis_session_url) as client:
        yield client


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to `database_url`."""
    async with create_pool(database_url, schema=SCHEMA, min_size=1, max_size=6, application="test") as opened:
        yield opened


@pytest.fixture
def index(pool: Pool) -> PostgresSearchIndex:
    """The index of that database; searching and indexing share the connections."""
    return PostgresSearchIndex(pool, pool)
