"""The fixtures over both kinds of servers. Owns their scopes; a test gets a database of its own and an empty Redis."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql
from tests.servers import containers
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port

from meetai_local.servers import postgres as embedded_postgres
from meetai_local.servers import valkey as embedded_valkey

PASSWORD = "for-tests-only"
_database_numbers = itertools.count(1)


def header() -> str:
    """The line of pytest's header that says which servers the integration tests use."""
    kind = "testcontainers" if containers.engine_answers() else "embedded (no Docker engine answers)"
    return f"servers: PostgreSQL and Redis are {kind}; the ones that tests break are embedded"


@pytest.fixture(scope="session")
def _postgres_admin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if containers.engine_answers():
        with containers.postgres() as url:
            yield url
    else:
        with _embedded_postgres(tmp_path_factory) as server:
            yield server.url


@pytest.fixture(scope="session")
def _redis_session_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if containers.engine_answers():
        with containers.redis() as url:
            yield url
    else:
        with _embedded_redis(tmp_path_factory) as server:
            yield server.url


@pytest.fixture
def postgres_url(_postgres_admin_url: str) -> Iterator[str]:
    """The URL of an empty database that only this test uses."""
    name = f"test_{os.getpid()}_{next(_database_numbers)}"
    identifier = sql.Identifier(name)
    with psycopg.connect(_postgres_admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(identifier))
    yield urlsplit(_postgres_admin_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(_postgres_admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(identifier))


@pytest.fixture
def redis_url(_redis_session_url: str) -> str:
    """The URL of a Redis server that is empty when the test starts."""
    client = redis.Redis.from_url(_redis_session_url)
    client.flushall()
    client.close()
    return _redis_session_url


@pytest.fixture
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A PostgreSQL server of this test's own, to stop, kill, freeze and start again; `url` names an empty database."""
    with _embedded_postgres(tmp_path_factory) as server:
        yield server


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A Valkey server of this test's own, to stop, kill, freeze and start again; its data survives a restart."""
    with _embedded_redis(tmp_path_factory) as server:
        yield server


def _embedded_postgres(folders: pytest.TempPathFactory) -> EmbeddedServer:
    port = free_port()
    part = embedded_postgres.part(folders.mktemp("postgres") / "server", port=port, password=PASSWORD)
    return EmbeddedServer(part, url=embedded_postgres.url(port, PASSWORD))


def _embedded_redis(folders: pytest.TempPathFactory) -> EmbeddedServer:
    port = free_port()
    part = embedded_valkey.part(folders.mktemp("redis") / "server", port=port, password=PASSWORD)
    return EmbeddedServer(part, url=embedded_valkey.url(port, PASSWORD))
