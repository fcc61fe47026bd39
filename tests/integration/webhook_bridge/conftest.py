"""An Inngest that fails on demand, a migrated database, and a replica over both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge, migrate
from tests.integration.webhook_bridge.inngest_stub import InngestStub


@pytest.fixture
def inngest() -> Iterator[InngestStub]:
    """An Inngest that takes everything, until told otherwise."""
    stub = InngestStub()
    stub.start()
    yield stub
    stub.stop()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """An empty database with this service's schema."""
    migrate(postgres_url)
    return postgres_url


@pytest.fixture
def replica(tmp_path: Path, database_url: str, inngest: InngestStub) -> Iterator[Bridge]:
    """A running service."""
    with bridge(tmp_path, database_url, inngest.url) as running:
        yield running
