"""The inbox in PostgreSQL keeps its promises, and says soon when it can't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tests.servers.embedded import EmbeddedServer
from tests.unit.webhook_bridge.inbox_suite import InboxSuite, outbound, webhook
from tests.unit.webhook_bridge.ledger_suite import LedgerSuite
from tests.unit.webhook_bridge.rooms_suite import AT, RoomsSuite, facts

from meetai_servicekit import postgres
from meetai_servicekit.streams import Arrival
from meetai_webhook_bridge.adapters.postgres import MAX_WAITING, MIGRATIONS, SCHEMA
from meetai_webhook_bridge.adapters.postgres_inbox import PostgresInbox
from meetai_webhook_bridge.adapters.postgres_ledger import PostgresLedger
from meetai_webhook_bridge.adapters.postgres_rooms import PostgresRooms
from meetai_webhook_bridge.domain.entries import open_entry
from meetai_webhook_bridge.domain.errors import StoreAwayError
from meetai_webhook_bridge.ports import LedgerQuery

FAST_SECONDS = 6.0
"""2 s are promised to LiveKit; the rest is for a busy machine. What has no deadline hangs for as long as the server does."""


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[PostgresAll]:
    pool = postgres.create_pool(
        database_url, schema=SCHEMA, min_size=2, max_size=4, max_waiting=MAX_WAITING, application="test"
    )
    async with pool:
        yield PostgresAll(pool)


class PostgresAll(PostgresInbox, PostgresRooms, PostgresLedger):
    """All adapters over one pool, as the service has them."""


class TestPostgresInbox(InboxSuite, RoomsSuite, LedgerSuite):
    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[PostgresAll]:
        await asyncio.to_thread(postgres.migrate, postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
        async with opened(postgres_url) as inbox:
            yield inbox


async def test_what_is_old_is_forgotten_and_what_is_pending_never(postgres_url: str) -> None:
    """Webhooks, events that were sent or died, the bytes of what wasn't an event, and rooms whose end was told."""
    await asyncio.to_thread(postgres.migrate, postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    async with opened(postgres_url) as store:
        for name in ("sent", "dead", "pending"):
            await store.accept(
                webhook(f"EV_{name}"), outbound(name, sid=name), facts(name, name=name, finished=name == "sent")
            )
        claimed = {one.event.id: one for one in await store.claim_due(limit=10, lease_seconds=3600)}
        await store.mark_sent("sent")
        await store.mark_failed(claimed["dead"], reason="timeout", retry_after_seconds=None)
        await store.accept_entries([open_entry(Arrival("meetai:events", "1-1", {b"e": b"garbage"}))])
        now = datetime.now(UTC)
        assert await store.expire(AT - timedelta(days=1)) == 0
        assert await store.expire(now + timedelta(seconds=5)) == 3 + 3 + 1
        assert await store.expire(now + timedelta(seconds=5)) == 0
        left = (await store.page(LedgerQuery(limit=10))).events
        assert sorted(entry.id for entry in left) == ["livekit-room_finished-sent", "pending"]
        assert sorted(room.sid for room in await store.open_rooms()) == ["dead", "pending"]


async def test_the_store_is_away_when_its_schema_isnt_there(postgres_url: str) -> None:
    """The service waits for `migrate` rather than failing."""
    async with opened(postgres_url) as inbox:
        with pytest.raises(StoreAwayError):
            await inbox.accept(webhook("EV_1"), None)


async def test_the_store_says_soon_that_it_is_away_and_comes_back(postgres_server: EmbeddedServer) -> None:
    """Stopped, and frozen so that connections hang: an answer soon each time; back: it works again within seconds."""
    await asyncio.to_thread(postgres.migrate, postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    async with opened(postgres_server.url) as inbox:
        assert await inbox.accept(webhook("EV_1"), outbound("event-1"))

        await asyncio.to_thread(postgres_server.pause)
        assert await _seconds_until_refused(inbox) < FAST_SECONDS
        await asyncio.to_thread(postgres_server.resume)
        await _until_accepted(inbox, "EV_2")

        await asyncio.to_thread(postgres_server.stop)
        assert await _seconds_until_refused(inbox) < FAST_SECONDS
        await asyncio.to_thread(postgres_server.start)
        await _until_accepted(inbox, "EV_3")


async def test_nobody_queues_for_long_when_the_store_is_away() -> None:
    """A burst far over the number that may wait is refused at once, and the rest soon."""
    async with opened("postgresql://nobody@127.0.0.1:1/nothing") as inbox:
        started = time.monotonic()
        refusals = await asyncio.gather(
            *(inbox.accept(webhook(f"EV_{number}"), None) for number in range(500)), return_exceptions=True
        )
        assert time.monotonic() - started < FAST_SECONDS
        assert all(isinstance(refusal, StoreAwayError) for refusal in refusals)


async def test_the_store_comes_back_when_many_waited_for_it_while_it_was_away(postgres_server: EmbeddedServer) -> None:
    """Longer than the pool tries to connect by itself: those who gave up must not keep it from trying again."""
    await asyncio.to_thread(postgres.migrate, postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    async with opened(postgres_server.url) as inbox:
        assert await inbox.accept(webhook("EV_1"), None)
        await asyncio.to_thread(postgres_server.kill)
        refused = 0
        away_until = time.monotonic() + 2.5 * postgres.RECONNECT_SECONDS
        while time.monotonic() < away_until:
            burst = (inbox.accept(webhook(f"EV_{refused}"), None) for _ in range(MAX_WAITING))
            refused += sum(
                isinstance(each, StoreAwayError) for each in await asyncio.gather(*burst, return_exceptions=True)
            )
        assert refused > MAX_WAITING
        await asyncio.to_thread(postgres_server.start)
        await _until_accepted(inbox, "EV_back")


async def _seconds_until_refused(inbox: PostgresInbox) -> float:
    started = time.monotonic()
    with pytest.raises(StoreAwayError):
        await inbox.accept(webhook("EV_away"), None)
    return time.monotonic() - started


async def _until_accepted(inbox: PostgresInbox, webhook_id: str) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                await inbox.accept(webhook(webhook_id), None)
            except StoreAwayError:
                await asyncio.sleep(0)  # a call waits for a connection by itself, or is refused at once
                continue
            return
