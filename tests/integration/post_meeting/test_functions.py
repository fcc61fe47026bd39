"""The functions called through Inngest's protocol: by the stand-in, against the real transcript-ingest, with everything that goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis
from inngest._internal.net import sign_request
from msgspec import Struct
from tests.integration.transcript_ingest.ingest_process import Ingest, environment
from tests.servers.ports import free_port
from tests.servers.service_process import ServiceProcess
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key
from meetai_local.servers.recorder import serve
from meetai_post_meeting.app import create_app
from meetai_post_meeting.settings import PostMeetingSettings
from meetai_servicekit.auth import new_service_key
from meetai_servicekit.postgres import migrate
from meetai_servicekit.settings import load
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA

WAIT_SECONDS = 60
KEY, ENTRY = new_service_key("minutes", frozenset({"transcripts:read", "transcripts:summarise", "transcripts:erase"}))
SIGNING_KEY = f"signkey-test-{'0123456789abcdef' * 4}"
COMPLETED, FINISHED = "meetai/transcript.completed", "livekit/room_finished"


class World(Struct):
    """transcript-ingest and the example as processes, and the stand-in for Inngest."""

    ingest: Ingest
    example: ServiceProcess
    inngest_url: str
    streams: redis.Redis

    def say(self, producer: Producer, *texts: str) -> None:
        entries = [producer.open()]
        if texts:
            entries.append(encode_batch(producer.batch(*[producer.line(text) for text in texts])))
        for entry in entries:
            self.streams.xadd(stream_key(0), {BATCH_FIELD: entry})
        wait_until(
            lambda: [
                p for p in self.ask(producer.meeting_id, "integrity").json()["producers"] if p["stored"] == len(texts)
            ],
            seconds=WAIT_SECONDS,
        )

    def ask(self, meeting_id: str, resource: str = "", method: str = "GET") -> httpx.Response:
        url = f"{self.ingest.url}/v1/meetings/{quote(meeting_id, safe='')}/{resource}".rstrip("/")
        return httpx.request(method, url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    def tell(self, name: str, producer: Producer, event_id: str = "") -> str:
        event = {
            "name": name,
            "id": event_id or uuid4().hex,
            "data": {"meetingId": producer.meeting_id, "roomSid": producer.room_sid},
        }
        httpx.post(f"{self.inngest_url}/e/key", json=event, timeout=30).raise_for_status()
        return event["id"]  # type: ignore[return-value]  # a str, which the dict's type hides

    def run(self, event_id: str) -> dict[str, Any]:
        """The one run of an event, once it has ended."""

        def ended() -> list[dict[str, Any]]:
            return [run for run in self.runs(event_id) if run["status"] != "Running"]

        wait_until(ended, seconds=WAIT_SECONDS)
        (run,) = self.runs(event_id)
        return run

    def runs(self, event_id: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = httpx.get(f"{self.inngest_url}/runs", timeout=30).json()
        return [run for run in runs if run["eventId"] == event_id]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, _postgres_admin_url: str, _redis_session_url: str
) -> Iterator[World]:
    folder, port = tmp_path_factory.mktemp("post_meeting"), free_port()
    with psycopg.connect(_postgres_admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE post_meeting")
    database_url = _postgres_admin_url.rpartition("/")[0] + "/post_meeting"
    migrate(database_url, schema=SCHEMA, migrations=MIGRATIONS)
    environ = {**environment(database_url, _redis_session_url, port), "SERVICE_KEYS": ENTRY}
    server: ThreadingHTTPServer = serve(free_port(), folder)
    inngest_url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    example_environ = {
        "TRANSCRIPT_INGEST_URL": f"http://127.0.0.1:{port}",
        "SERVICE_KEY": KEY,
        "INNGEST_DEV": inngest_url,
        "LATE_TRANSCRIPT_SECONDS": "1",
        "PORT": str(example_port := free_port()),
    }
    ingest = Ingest("meetai_transcript_ingest", folder, port, environ)
    example = ServiceProcess("meetai_post_meeting", folder, example_port, example_environ)
    try:
        with ingest.running(), example.running(ready=False), redis.Redis.from_url(_redis_session_url) as streams:
            assert httpx.put(f"{example.url}/api/inngest", timeout=30).status_code == 200
            yield World(ingest, example, inngest_url, streams)
    finally:
        server.shutdown()


def meeting() -> Producer:
    return Producer(f"summed/up {uuid4()}", room_sid=f"RM_{uuid4().hex[:8]}")


def test_summary_is_stored_when_the_transcript_is_complete(world: World) -> None:
    """Once, also when its event comes twice; a step and the function's end are one call each."""
    producer = meeting()
    world.say(producer, "We agreed to ship on Friday.", "I will call the printers.")
    event_id = world.tell(COMPLETED, producer)
    run = world.run(event_id)
    assert (run["status"], run["calls"]) == ("Completed", 2)
    stored = world.ask(producer.meeting_id, "summary").json()
    assert stored["decisions"] == ["We agreed to ship on Friday."]
    assert [item["text"] for item in stored["actionItems"]] == ["I will call the printers."]
    assert (stored["writtenBy"], stored["producerIds"]) == ("extractive", [str(producer.producer_id)])
    world.tell(COMPLETED, producer, event_id)
    world.run(world.tell(COMPLETED, producer))  # a later event of the same meeting
    assert len(world.runs(event_id)) == 1
    assert world.ask(producer.meeting_id, "summary").json() == stored


def test_transcript_is_read_to_its_end_when_it_has_many_pages(world: World) -> None:
    producer = meeting()
    world.say(producer, *[f"We agreed on number {n}." for n in range(900)])
    world.streams.xadd(stream_key(0), {BATCH_FIELD: producer.say(200)})
    wait_until(
        lambda: world.ask(producer.meeting_id, "integrity").json()["producers"][0]["stored"] == 1_100,
        seconds=WAIT_SECONDS,
    )
    assert world.run(world.tell(COMPLETED, producer))["status"] == "Completed"
    last_ms = producer.said[-1].ended_ms
    assert world.ask(producer.meeting_id, "summary").json()["notes"][-1]["endedMs"] == last_ms


def test_nothing_is_stored_when_the_meeting_was_erased(world: World) -> None:
    """The run ends well: there is nothing to be done any more."""
    producer = meeting()
    world.say(producer, "Said in confidence.")
    assert world.ask(producer.meeting_id, method="DELETE").status_code == 204
    assert world.run(world.tell(COMPLETED, producer))["status"] == "Completed"
    assert world.ask(producer.meeting_id, "summary").status_code == 410


def test_missing_transcript_is_said_when_no_agent_came(world: World) -> None:
    """After a while; a meeting whose agent is there is left to its completion, and never written over."""
    nobody, heard = meeting(), meeting()
    run = world.run(world.tell(FINISHED, nobody))
    assert (run["status"], run["calls"]) == ("Completed", 5)
    stored = world.ask(nobody.meeting_id, "summary").json()
    assert (stored["overview"], stored["producerIds"]) == ("Nobody said a word that was recognised.", [])
    world.say(heard)
    run = world.run(world.tell(FINISHED, heard))
    assert (run["status"], run["calls"]) == ("Completed", 2)
    assert world.ask(heard.meeting_id, "summary").status_code == 404
    world.run(world.tell(COMPLETED, heard))
    assert world.ask(heard.meeting_id, "summary").json()["producerIds"] == [str(heard.producer_id)]


def test_run_fails_at_once_when_the_event_is_not_one(world: World) -> None:
    """What can't get better isn't tried again."""
    nameless = Producer("x")
    nameless.meeting_id = 7  # type: ignore[assignment]  # that is the attack
    run = world.run(world.tell(COMPLETED, nameless))
    assert (run["status"], run["calls"]) == ("Failed", 1)


def test_summary_is_stored_when_the_store_was_away(world: World) -> None:
    """The step is tried again until it is back."""
    producer = meeting()
    world.say(producer, "We agreed to ship on Friday.")
    world.ingest.kill()
    event_id = world.tell(COMPLETED, producer)
    wait_until(lambda: world.runs(event_id)[0]["calls"] >= 2, seconds=WAIT_SECONDS)
    world.ingest.restart()
    run = world.run(event_id)
    assert (run["status"], run["calls"] > 2) == ("Completed", True)
    assert world.ask(producer.meeting_id, "summary").json()["decisions"] == ["We agreed to ship on Friday."]


@pytest.mark.parametrize("dev", ["", "0", "false"])
async def test_call_is_refused_when_its_signature_is_not_inngests(dev: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In production nobody else may start a run; a dev server that is switched off is production."""
    monkeypatch.setenv("INNGEST_DEV", dev)  # the SDK reads it as well
    environ = {"TRANSCRIPT_INGEST_URL": "http://127.0.0.1:1", "SERVICE_KEY": KEY, "INNGEST_SIGNING_KEY": SIGNING_KEY}
    settings = load(PostMeetingSettings, {**environ, "INNGEST_DEV": dev})
    event = {"name": COMPLETED, "id": "1", "data": {"meetingId": 7}, "ts": 1}
    context = {"attempt": 0, "disable_immediate_execution": False, "run_id": "r", "stack": {"stack": []}}
    body = json.dumps({"ctx": context, "event": event, "events": [event], "steps": {}, "use_api": False}).encode()
    query = {"fnId": "meetai-post-meeting-summarise-transcript", "stepId": "step"}
    transport = httpx.ASGITransport(create_app(settings))
    signed, forged = sign_request(body, SIGNING_KEY), sign_request(body, SIGNING_KEY[::-1])
    statuses = []
    async with httpx.AsyncClient(transport=transport, base_url="http://example") as client:
        for signature in (None, forged, signed):
            headers = {"X-Inngest-Signature": str(signature)} if signature else {}
            answer = await client.post("/api/inngest", params=query, content=body, headers=headers)
            statuses.append((answer.status_code, answer.headers.get("x-inngest-no-retry")))
    assert statuses == [(401, None), (401, None), (500, "true")]
