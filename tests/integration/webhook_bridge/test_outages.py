"""Every event is delivered, under one id, whatever is away or killed in between."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx
from tests.integration.webhook_bridge.bridge_process import Bridge, bridge
from tests.integration.webhook_bridge.conftest import Shared
from tests.integration.webhook_bridge.inngest_stub import CUT, FAULTS, HOLD, InngestStub
from tests.servers.embedded import EmbeddedServer
from tests.unit.webhook_bridge.webhooks import encoded, room_finished, signed
from tests.waiting import wait_until

from meetai_servicekit import postgres
from meetai_webhook_bridge.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_webhook_bridge.usecases.deliver import LEASE_SECONDS

FAST_SECONDS = 6.0
"""2 s are promised to LiveKit; the rest is for a busy machine. What has no deadline hangs for as long as the server does."""


def delivered_once(replica: Bridge, webhook_id: str, sid: str, *, patient: bool = True) -> int:
    return replica.deliver(room_finished(webhook_id, sid=sid), patient=patient).status_code


def test_every_event_is_delivered_when_inngest_fails_in_every_way(shared: Shared) -> None:
    """500, 503, 429, 401, 200 without ids, HTML, an answer cut off, and away: each event ends up sent, under one id."""
    replica, inngest, _ = shared
    inngest.faults.extend(
        ["429", "200 without ids", "401", CUT, "HTML 502", "200 with null", "500", "503 without an error"]
    )
    assert set(FAULTS) | {CUT} <= set(inngest.faults)
    expected = {f"livekit-room_finished-RM_{number}" for number in range(8)}
    for number in range(7):
        assert delivered_once(replica, f"EV_{number}", f"RM_{number}") == 200
    wait_until(lambda: not inngest.faults, seconds=10)
    inngest.stop()
    assert delivered_once(replica, "EV_7", "RM_7") == 200
    wait_until(lambda: any(event["attempts"] for event in replica.events(state="pending")), seconds=10)
    inngest.start()
    wait_until(lambda: len(replica.events(state="sent")) == len(expected), seconds=20)
    assert set(inngest.ids) == expected
    assert replica.events(state="pending") == replica.events(state="dead") == []


def test_the_service_recovers_when_postgres_comes_late_goes_and_comes_back(
    tmp_path: Path, postgres_server: EmbeddedServer, inngest: InngestStub
) -> None:
    """Without it: alive, not ready, and 503 with Retry-After soon. With it: LiveKit's retry is taken, and the event follows."""
    postgres_server.stop()
    with bridge(tmp_path, postgres_server.url, inngest.url, ready=False) as replica:
        assert not replica.is_ready()
        assert delivered_once(replica, "EV_1", "RM_1", patient=False) == 503

        postgres_server.start()
        wait_until(lambda: "run migrate" in replica.get("/readyz").text, seconds=10)
        assert delivered_once(replica, "EV_1", "RM_1", patient=False) == 503
        postgres.migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
        wait_until(replica.is_ready, seconds=10)
        assert delivered_once(replica, "EV_1", "RM_1") == 200
        wait_until(lambda: inngest.ids == ["livekit-room_finished-RM_1"], seconds=5)

        postgres_server.stop()
        started = time.monotonic()
        answer = replica.deliver(room_finished("EV_2", sid="RM_2"), patient=False)
        assert time.monotonic() - started < FAST_SECONDS
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert replica.is_alive()
        assert not replica.is_ready()

        postgres_server.start()
        wait_until(lambda: delivered_once(replica, "EV_2", "RM_2", patient=False) == 200, seconds=10)
        wait_until(lambda: "livekit-room_finished-RM_2" in inngest.ids, seconds=5)
        wait_until(replica.is_ready, seconds=10)
        assert replica.terminate() == 0


def test_an_event_is_sent_when_the_service_was_killed_before_it_could_be(
    tmp_path: Path, database_url: str, inngest: InngestStub
) -> None:
    """Accepted, then `kill -9`: the next process finds it in the inbox. One killed while it was sending included."""
    inngest.faults.append(HOLD)
    with bridge(tmp_path, database_url, inngest.url) as replica:
        assert delivered_once(replica, "EV_1", "RM_1") == 200
        wait_until(lambda: inngest.ids == ["livekit-room_finished-RM_1"], seconds=5)
        inngest.stop()
        assert delivered_once(replica, "EV_2", "RM_2") == 200
        replica.kill()
    inngest.start()
    with bridge(tmp_path, database_url, inngest.url) as replica:
        wait_until(lambda: len(replica.events(state="sent")) == 2, seconds=LEASE_SECONDS + 10)
    assert Counter(inngest.ids) == {"livekit-room_finished-RM_1": 2, "livekit-room_finished-RM_2": 1}


async def test_every_event_is_sent_once_when_two_replicas_share_the_work(shared: Shared, tmp_path: Path) -> None:
    """Each webhook given to both at once: one row, one claim, one request to Inngest.

    The SDK asks again where an answer takes 2 s, as a busy machine's may.
    """
    count = 100
    with bridge(tmp_path, shared.database_url, shared.inngest.url) as other:
        async with httpx.AsyncClient(timeout=20) as client:

            async def deliver(replica: Bridge, number: int) -> int:
                body = encoded(room_finished(f"EV_{number}", sid=f"RM_{number}", name=f"meeting {number}"))
                headers = {"Authorization": signed(body)}
                async with asyncio.timeout(60):
                    while True:  # a busy machine may answer 503, and LiveKit would deliver again
                        answer = await client.post(f"{replica.url}/webhooks/livekit", content=body, headers=headers)
                        if answer.status_code != 503:
                            return answer.status_code

            deliveries = [deliver(replica, number) for number in range(count) for replica in (shared.replica, other)]
            assert set(await asyncio.gather(*deliveries)) == {200}
        wait_until(lambda: len(shared.replica.events(state="sent", limit=500)) == count, seconds=30)
        assert {event["attempts"] for event in shared.replica.events(limit=500)} == {1}
        assert "event_sent" in other.log()
    assert set(shared.inngest.ids) == {f"livekit-room_finished-RM_{number}" for number in range(count)}
    assert len(shared.inngest.ids) <= count + 2


def test_a_send_is_finished_when_the_service_is_stopped(
    tmp_path: Path, database_url: str, inngest: InngestStub
) -> None:
    """SIGTERM: what is being sent is sent and marked; exit code 0."""
    inngest.faults.append(HOLD)
    with bridge(tmp_path, database_url, inngest.url) as replica:
        assert delivered_once(replica, "EV_1", "RM_1") == 200
        wait_until(lambda: len(inngest.ids) == 1, seconds=5)
        inngest.release_soon()
        assert replica.terminate() == 0
    log = replica.log()
    assert '"event":"event_sent"' in log.replace('": "', '":"')
    assert "service_stopped" in log
