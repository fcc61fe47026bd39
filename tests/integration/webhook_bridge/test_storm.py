"""Ten thousand webhooks while everything goes wrong: every meeting's end is delivered, under one id."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.inngest_stub import CUT, InngestStub
from tests.servers.embedded import EmbeddedServer
from tests.unit.webhook_bridge.webhooks import encoded, room_finished, signed
from tests.waiting import eventually

from meetai_servicekit import postgres
from meetai_webhook_bridge.adapters.postgres import MIGRATIONS, SCHEMA

MEETINGS = 3_000
DELIVERIES = 10_000
SENDERS = 24
SEED = 20261123
WINDOW = 200
"""How far a webhook may be from its place: a queue per room doesn't keep the order of rooms, nor always of its own."""


def deliveries() -> list[dict[str, Any]]:
    """Three webhooks a meeting and a tenth of repeats, out of order."""
    told: list[dict[str, Any]] = []
    for number in range(MEETINGS):
        for part, event in enumerate(("room_started", "participant_joined", "room_finished")):
            body = room_finished(f"EV_{number}_{part}", sid=f"RM_{number}", name=f"meeting {number}")
            told.append(body | {"event": event})
    shuffled = random.Random(SEED)
    told += shuffled.choices(told, k=DELIVERIES - len(told))
    places = {id(body): index for index, body in enumerate(told[: 3 * MEETINGS])}
    return sorted(told, key=lambda body: places[id(body)] + shuffled.uniform(0, WINDOW))


class Storm:
    """Two replicas, of which any may be killed at any moment; whoever delivers finds one that answers."""

    def __init__(self, folder: Path, database_url: str, inngest: InngestStub, stack: ExitStack) -> None:
        self.replicas: list[Bridge] = []
        self.answers: Counter[int] = Counter()
        self._start = lambda: stack.enter_context(bridge(folder, database_url, inngest.url))

    async def add_replica(self) -> None:
        self.replicas.append(await asyncio.to_thread(self._start))

    async def replace_replica(self, position: int) -> None:
        """`kill -9`, and another is started in its place."""
        await asyncio.to_thread(self.replicas.pop(position).kill)
        await self.add_replica()

    async def deliver(self, client: httpx.AsyncClient, webhook: dict[str, Any]) -> None:
        """As LiveKit does, but that it never gives up."""
        body = encoded(webhook)
        status = 0
        while status != 200:
            replica = random.choice(self.replicas)
            try:
                headers = {"Authorization": signed(body)}
                answer = await client.post(f"{replica.url}/webhooks/livekit", content=body, headers=headers)
                status = answer.status_code
            except httpx.TransportError:
                status = 0
            self.answers[status] += 1
            if status != 200:
                await asyncio.sleep(0.05)


@pytest.mark.timeout(540)
async def test_every_meetings_end_is_delivered_under_one_id(
    tmp_path: Path, postgres_server: EmbeddedServer, inngest: InngestStub
) -> None:
    """A tenth twice, all out of order, to two replicas; PostgreSQL restarts, replicas are killed, Inngest fails in every way."""
    await asyncio.to_thread(postgres.migrate, postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    queue = deliveries()
    with ExitStack() as stack:
        storm = Storm(tmp_path, postgres_server.url, inngest, stack)
        await storm.add_replica()
        await storm.add_replica()

        def fails(fault: str | None) -> Callable[[], Any]:
            async def change() -> None:
                inngest.fault_forever = fault

            return change

        async def restart_postgres() -> None:
            await asyncio.to_thread(postgres_server.kill)
            await asyncio.to_thread(postgres_server.start)

        async def inngest_goes() -> None:
            await asyncio.to_thread(inngest.stop)

        async def inngest_comes_back() -> None:
            inngest.fault_forever = None
            await asyncio.to_thread(inngest.start)

        troubles: list[Callable[[], Any]] = [
            fails("500"),
            restart_postgres,
            fails("HTML 502"),
            lambda: storm.replace_replica(0),
            fails("200 without ids"),
            fails("429"),
            inngest_goes,
            lambda: storm.replace_replica(0),
            inngest_comes_back,
            fails(CUT),
            restart_postgres,
            fails(None),
        ]
        left = iter(queue)
        begun = 0
        async with httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_connections=SENDERS)) as client:

            async def send() -> None:
                nonlocal begun
                for webhook in left:
                    begun += 1
                    await storm.deliver(client, webhook)

            async def make_trouble() -> None:
                for number, trouble in enumerate(troubles, 1):
                    due = number * DELIVERIES // (len(troubles) + 1)
                    while begun < due:  # noqa: ASYNC110 - a condition that the senders bring about
                        await asyncio.sleep(0.02)
                    await trouble()

            async with asyncio.TaskGroup() as group:
                for _ in range(SENDERS):
                    group.create_task(send())
                group.create_task(make_trouble())

        def undelivered() -> int:
            with psycopg.connect(postgres_server.url) as connection:
                row = connection.execute("SELECT count(*) FROM webhook_bridge.outbox WHERE state <> 'sent'").fetchone()
            return int(row[0]) if row else -1

        async def all_delivered() -> bool:
            return await asyncio.to_thread(undelivered) == 0

        await eventually(all_delivered, seconds=240)
        with psycopg.connect(postgres_server.url) as connection:
            kept = connection.execute("SELECT count(*) FROM webhook_bridge.inbox").fetchone()
            events = connection.execute("SELECT count(*), count(DISTINCT id) FROM webhook_bridge.outbox").fetchone()
    assert storm.answers[200] == DELIVERIES
    assert kept == (3 * MEETINGS,)
    assert events == (MEETINGS, MEETINGS)
    assert set(inngest.ids) == {f"livekit-room_finished-RM_{number}" for number in range(MEETINGS)}
