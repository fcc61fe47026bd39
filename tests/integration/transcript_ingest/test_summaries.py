"""What a meeting came to, over HTTP, kept in PostgreSQL: stored once, by who may, of lines that are still there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import OTHER_KEY, READER_KEY, SUMMARISER_KEY, Ingest
from tests.unit.transcript_ingest.producing import Producer, uuid7
from tests.waiting import wait_until

from meetai_contracts.summary import MAX_ITEM_BYTES, MAX_ITEMS, MAX_SUMMARY_BYTES, StoredSummary
from meetai_contracts.transcript import BATCH_FIELD, stream_key

WAIT_SECONDS = 30
WAITING = b"SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def path_of(meeting_id: str) -> str:
    return f"/v1/meetings/{quote(meeting_id, safe='')}/summary"


def body(*producers: Producer, **changed: Any) -> dict[str, Any]:
    """A summary of what these have said."""
    return {
        "overview": "Ann said good morning, 世界.",
        "writtenBy": "extractive",
        "producerIds": [str(producer.producer_id) for producer in producers],
        "decisions": ["We meet at ten."],
        "actionItems": [{"text": "Book Room 4.", "owner": "Ann Überall"}, {"text": "Bring cake."}],
        "notes": [{"text": "Greetings.", "startedMs": 1_790_000_000_000, "endedMs": 1_790_000_002_000}],
        **changed,
    }


def put(
    replica: Ingest, meeting_id: str, summary: Any, *, key: str | None = SUMMARISER_KEY, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = summary if isinstance(summary, bytes) else msgspec.json.encode(summary)
    auth = {"Authorization": f"Bearer {key}"} if key else {}
    url, sent = replica.url + path_of(meeting_id), {"Content-Type": "application/json", **auth, **named}
    return httpx.put(url, content=content, headers=sent, timeout=30)


def read(replica: Ingest, meeting_id: str) -> StoredSummary:
    return msgspec.json.decode(replica.get(path_of(meeting_id)).raise_for_status().content, type=StoredSummary)


@pytest.fixture
def said(replica: Ingest, stream_client: redis.Redis) -> Producer:
    """A meeting of its own, in which something was said."""
    return say(replica, stream_client, Producer(f"summed/up {uuid4()}"))


def say(replica: Ingest, stream_client: redis.Redis, producer: Producer) -> Producer:
    stored = len(producer.said)
    stream_client.xadd(stream_key(0), {BATCH_FIELD: producer.say(1)})
    wait_until(lambda: len(_transcript(replica, producer)) > stored, seconds=WAIT_SECONDS)
    return producer


def _transcript(replica: Ingest, producer: Producer) -> list[Any]:
    response = replica.get(path_of(producer.meeting_id).replace("/summary", "/transcript"))
    return response.json()["lines"] if response.status_code == 200 else []


def test_summary_is_read_as_it_was_written_when_there_is_one(replica: Ingest, said: Producer) -> None:
    """404 before, 201, then the same for every reader; a reader who has it is told so."""
    path, written = path_of(said.meeting_id), body(said)
    assert replica.get(path).status_code == 404
    created = put(replica, said.meeting_id, written)
    answer = replica.get(path)
    assert (created.status_code, answer.status_code) == (201, 200)
    stored = answer.json()
    assert {**stored, "storedAt": None} == {**written, "meetingId": said.meeting_id, "storedAt": None}
    tag = answer.headers["etag"]
    assert created.headers["etag"] == tag
    assert answer.headers["cache-control"] == "private, no-cache"
    known = {"Authorization": f"Bearer {READER_KEY}", "If-None-Match": tag}
    assert httpx.get(replica.url + path, headers=known, timeout=15).status_code == 304


def test_nothing_changes_when_the_same_summary_is_stored_again(replica: Ingest, said: Producer) -> None:
    """Not even the time; another one replaces it, and what a reader got may be sent back as it is."""
    first = put(replica, said.meeting_id, body(said))
    before = read(replica, said.meeting_id)
    again = put(replica, said.meeting_id, msgspec.json.encode(before))
    assert (again.status_code, again.headers["etag"]) == (204, first.headers["etag"])
    assert read(replica, said.meeting_id) == before
    other = put(replica, said.meeting_id, body(said, overview="Another."))
    assert (other.status_code, other.headers["etag"] == first.headers["etag"]) == (204, False)
    after = read(replica, said.meeting_id)
    assert (after.overview, after.stored_at > before.stored_at) == ("Another.", True)


def test_summary_is_refused_when_the_key_may_not(replica: Ingest, said: Producer) -> None:
    """Who may write one may not read anything with it."""
    for key, status in ((None, 401), ("x" * 43, 401), (READER_KEY, 403), (OTHER_KEY, 403)):
        assert put(replica, said.meeting_id, body(said), key=key).status_code == status
    assert replica.get(path_of(said.meeting_id)).status_code == 404
    assert replica.get(path_of(said.meeting_id), key=SUMMARISER_KEY).status_code == 403


LONG = "x" * (MAX_ITEM_BYTES + 1)
GARBAGE: Mapping[str, tuple[Any, str]] = {
    "no JSON": (b"{", ""),
    "nothing": (b"", ""),
    "a list": ([], ""),
    "no overview": ({"writtenBy": "x", "producerIds": []}, "overview"),
    "blank overview": (body(overview=" \n"), "overview"),
    "NUL": (body(overview="a\0b"), "overview"),
    "overview of another type": (body(overview=7), "overview"),
    "nobody wrote it": (body(writtenBy=""), "writtenBy"),
    "no producers' list": ({"writtenBy": "x", "overview": "x"}, "producerIds"),
    "producers that are none": (body(producerIds=["standup"]), "producerIds[0]"),
    "too many decisions": (body(decisions=["x"] * (MAX_ITEMS + 1)), "decisions"),
    "a decision that is too long": (body(decisions=["fine", LONG]), "decisions"),
    "an empty decision": (body(decisions=[""]), "decisions"),
    "an item that is text": (body(actionItems=["do it"]), "actionItems[0]"),
    "an item without text": (body(actionItems=[{"owner": "Ann"}]), "actionItems[0].text"),
    "an owner that is too long": (body(actionItems=[{"text": "x", "owner": LONG}]), "actionItems[0].owner"),
    "a note that ends before it starts": (
        body(notes=[{"text": "x", "startedMs": 2, "endedMs": 1}]),
        "notes[0].endedMs",
    ),
    "a note at no time": (body(notes=[{"text": "x", "startedMs": -1, "endedMs": 1}]), "notes[0].startedMs"),
}


@pytest.mark.parametrize("fault", GARBAGE)
def test_field_is_named_when_a_summary_is_not_acceptable(replica: Ingest, fault: str) -> None:
    """400, problem+json, without a word of what was sent."""
    sent, field = GARBAGE[fault]
    answer = put(replica, "garbage", sent)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert [error["field"] for error in answer.json().get("errors", [{"field": ""}])] == [field]


def test_summary_is_refused_when_it_is_larger_than_any_is(replica: Ingest) -> None:
    """413, and 400 for a JSON that is nothing but depth."""
    notes = [{"text": "x" * 4_000, "startedMs": 1, "endedMs": 2}] * (MAX_SUMMARY_BYTES // 4_000 + 1)
    assert put(replica, "huge", body(notes=notes)).status_code == 413
    assert put(replica, "deep", b"[" * 100_000).status_code == 400
    assert replica.get(path_of("huge")).status_code == 404


def test_summary_is_refused_when_it_is_of_other_lines(replica: Ingest, said: Producer) -> None:
    """Of a producer that nobody knows, or that another meeting has; of nobody, where somebody spoke: 409, and nothing is stored."""
    stranger = Producer()
    for named in (body(stranger), body(said, stranger), body()):
        answer = put(replica, said.meeting_id, named)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "producerIds")
    assert put(replica, "another meeting", body(said)).status_code == 409
    assert put(replica, "nobody spoke here", body()).status_code == 201
    assert replica.get(path_of(said.meeting_id)).status_code == 404


def test_one_of_two_is_told_when_both_replace_the_same_summary(replica: Ingest, said: Producer) -> None:
    """By If-Match; without it the last one wins, and exactly one of those that came at once was the first."""
    with ThreadPoolExecutor(8) as threads:
        bodies = [body(said, overview=f"Version {n}.") for n in range(8)]
        statuses = sorted(threads.map(lambda b: put(replica, said.meeting_id, b).status_code, bodies))
        assert statuses == [201] + [204] * 7
        tag = replica.get(path_of(said.meeting_id)).headers["etag"]
        assert put(replica, said.meeting_id, body(said), If_Match='"another"').status_code == 412
        bodies = [body(said, overview=f"Reworked {n}.") for n in range(8)]
        statuses = sorted(
            threads.map(lambda b: put(replica, said.meeting_id, b, If_Match=f'"x", {tag}').status_code, bodies)
        )
    assert statuses == [204] + [412] * 7
    assert read(replica, said.meeting_id).overview.startswith("Reworked")
    assert put(replica, "never summed up", body(), If_Match="*").status_code == 412


def test_the_first_summary_stays_when_a_writer_says_that_none_is_to_be_replaced(
    replica: Ingest, said: Producer
) -> None:
    """By If-None-Match; one of those that came at once was the first, and a tag spares that one alone."""
    with ThreadPoolExecutor(8) as threads:
        bodies = [body(said, overview=f"Version {n}.") for n in range(8)]
        statuses = sorted(
            threads.map(lambda b: put(replica, said.meeting_id, b, If_None_Match="*").status_code, bodies)
        )
    assert statuses == [201] + [412] * 7
    tag = replica.get(path_of(said.meeting_id)).headers["etag"]
    assert put(replica, said.meeting_id, body(said), If_None_Match=f'"x", W/{tag}').status_code == 412
    assert put(replica, said.meeting_id, body(said), If_None_Match='"another"').status_code == 204


def test_summary_is_gone_for_good_when_its_meeting_is_erased(
    replica: Ingest, said: Producer, stream_client: redis.Redis, module_database_url: str
) -> None:
    """At once; a late one of the same lines is refused, and one of nobody's lines; one of later lines is stored."""
    path = path_of(said.meeting_id)
    assert put(replica, said.meeting_id, body(said)).status_code == 201
    assert replica.ask("DELETE", path.removesuffix("/summary")).status_code == 204
    assert replica.get(path).status_code == 410
    for late in (body(said), body()):
        assert put(replica, said.meeting_id, late).status_code == 410
    with psycopg.connect(module_database_url, options="-c search_path=transcript_ingest") as database:
        named = [said.meeting_id]
        assert database.execute("SELECT FROM summaries WHERE meeting_id = %s", named).fetchall() == []
        audited = "SELECT counts -> 'summaries' FROM audit WHERE meeting_id = %s AND action = 'erasure_requested'"
        assert database.execute(audited, named).fetchall() == [(1,)]
    later = Producer(said.meeting_id, producer_id=uuid7(time.time_ns() // 1_000_000 + 60_000))
    say(replica, stream_client, later)
    assert put(replica, said.meeting_id, body(said, later)).status_code == 410
    assert put(replica, said.meeting_id, body(later)).status_code == 201
    assert replica.get(path).status_code == 200


def test_summary_is_refused_when_its_meeting_is_erased_at_that_moment(
    replica: Ingest, said: Producer, module_database_url: str
) -> None:
    """A writer that had begun waits for the erasure, and then finds it."""
    named = [said.meeting_id]
    options = "-c search_path=transcript_ingest"
    with (
        ThreadPoolExecutor(1) as threads,
        psycopg.connect(module_database_url, autocommit=True) as watching,
        psycopg.connect(module_database_url, options=options) as erasing,
    ):
        erasing.execute("UPDATE meetings SET erased_at = now() WHERE meeting_id = %s", named)
        late = threads.submit(put, replica, said.meeting_id, body(said))
        wait_until(lambda: watching.execute(WAITING).fetchall(), seconds=WAIT_SECONDS)
        erasing.execute("DELETE FROM summaries WHERE meeting_id = %s", named)
        erasing.commit()
        assert late.result(WAIT_SECONDS).status_code == 410
        assert erasing.execute("SELECT FROM summaries WHERE meeting_id = %s", named).fetchall() == []
