"""An Inngest that fails on demand, a migrated database, and a replica over both.

The replica and its servers serve many tests, since a start takes seconds; each test finds them empty and at rest. A test
that stops or kills something starts its own by `bridge`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.waiting import wait_until

from meetai_servicekit import postgres
from meetai_webhook_bridge.adapters.postgres import MIGRATIONS, SCHEMA

REST_SECONDS = 15


class Shared(NamedTuple):
    """What serves many tests."""

    replica: Bridge
    inngest: InngestStub
    database_url: str

    def clear(self) -> None:
        """Wait until nothing is on its way, then forget everything."""
        self.inngest.clear()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            pending = "SELECT FROM webhook_bridge.outbox WHERE state = 'pending'"
            wait_until(lambda: connection.execute(pending).rowcount == 0, seconds=REST_SECONDS)
            connection.execute("TRUNCATE webhook_bridge.inbox, webhook_bridge.outbox, webhook_bridge.rooms")
        self.inngest.clear()


@pytest.fixture
def inngest() -> Iterator[InngestStub]:
    """An Inngest of the test's own; it takes everything until told otherwise."""
    stub = InngestStub()
    stub.start()
    yield stub
    stub.stop()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """A database of the test's own, with this service's schema."""
    postgres.migrate(postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    return postgres_url


@pytest.fixture(scope="session")
def _shared(_postgres_admin_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    name = f"webhook_bridge_{os.getpid()}"
    with psycopg.connect(_postgres_admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = urlsplit(_postgres_admin_url)._replace(path=f"/{name}").geturl()
    postgres.migrate(url, schema=SCHEMA, migrations=MIGRATIONS)
    stub = InngestStub()
    stub.start()
    with bridge(tmp_path_factory.mktemp("bridge"), url, stub.url) as replica:
        yield Shared(replica, stub, url)
    stub.stop()


@pytest.fixture
def shared(_shared: Shared) -> Shared:
    """A running service, its Inngest and its database, empty and at rest."""
    _shared.clear()
    return _shared
