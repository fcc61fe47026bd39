"""From the stream to a reader, through the running service."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import psycopg
import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import OTHER_KEY, Ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.api import StoredLine, stored_line
from meetai_contracts.transcript import BATCH_FIELD, TranscriptLine, decode_batch, encode_batch, stream_key

COMMITTED_SECONDS = 10


def put(client: redis.Redis, *entries: bytes) -> list[str]:
    """Put entries on the stream; their ids."""
    ids = [client.xadd(stream_key(0), {BATCH_FIELD: entry}) for entry in entries]
    return [entry_id.decode() for entry_id in ids if isinstance(entry_id, bytes)]


def as_stored(line: TranscriptLine, like: StoredLine) -> StoredLine:
    return stored_line(line, like.committed_at)


def dead_letters(database_url: str, entry_ids: list[str]) -> list[tuple[str, int, str | None, bytes]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT reason, seq, meeting_id, payload FROM transcript_ingest.dead_letters WHERE entry_id = ANY(%s) ORDER BY id",
            [entry_ids],
        ).fetchall()


@pytest.mark.parametrize("meeting_id", ["standup", "q3/планёрка", "50% off?#&\\", "a" * 256])
def test_transcript_is_what_was_said_when_read_back(
    replica: Ingest, stream_client: redis.Redis, meeting_id: str
) -> None:
    """Every field of every line comes back, in the order spoken, whatever the meeting is called."""
    producer = Producer(meeting_id)
    put(stream_client, producer.open(), producer.say(10), producer.say(3), producer.close())
    wait_until(lambda: replica.is_complete(meeting_id), seconds=COMMITTED_SECONDS)
    stored = replica.transcript(meeting_id)
    assert stored == [as_stored(line, like) for line, like in zip(producer.said, stored, strict=True)]
    integrity = replica.integrity(meeting_id)
    assert integrity.reason == "all stored and closed: 13 lines of 1 producer"
    (known,) = integrity.producers
    assert (known.declared, known.stored, known.dead, known.missing, known.closed) == (13, 13, 0, (), True)


def test_pages_hold_every_line_once_when_lines_come_meanwhile(replica: Ingest, stream_client: redis.Redis) -> None:
    """What is said while somebody reads is on the pages still to come, and a page read again is the same."""
    producer = Producer("paged")
    put(stream_client, producer.say(10))
    wait_until(lambda: len(replica.page("paged").lines) == 10, seconds=COMMITTED_SECONDS)
    first = replica.page("paged", limit=7)
    assert first.next is not None
    put(stream_client, producer.say(5), producer.close())
    wait_until(lambda: replica.is_complete("paged"), seconds=COMMITTED_SECONDS)
    second = replica.page("paged", limit=7, cursor=first.next)
    assert second.next is not None
    third = replica.page("paged", limit=7, cursor=second.next)
    assert [line.seq for page in (first, second, third) for line in page.lines] == list(range(1, 16))
    assert third.next is None
    assert replica.page("paged", limit=7) == first


def test_integrity_names_what_is_not_there_when_a_meeting_is_not_whole(
    replica: Ingest, stream_client: redis.Redis
) -> None:
    """Open, gap, and lines that never came; nobody's meeting is unproven and empty, not an error."""
    producer = Producer("holes")
    producer.open()
    put(stream_client, producer.say(2), producer.lose(2))
    producer.say(3)
    put(stream_client, producer.say(1))
    wait_until(lambda: len(replica.page("holes").lines) == 3, seconds=COMMITTED_SECONDS)
    integrity = replica.integrity("holes")
    assert (integrity.verdict, integrity.producers[0].missing) == ("incomplete", ((3, 7),))
    assert integrity.reason == "5 lines missing, 2 of them named as lost by the agent"
    nobody = replica.integrity("nobody was here")
    assert (nobody.verdict, nobody.producers) == ("unproven", ())
    page = replica.page("nobody was here")
    assert (page.lines, page.next) == ((), None)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/meetings/m/transcript?limit=0", "limit"),
        ("/v1/meetings/m/transcript?limit=1001", "limit"),
        ("/v1/meetings/m/transcript?limit=many", "limit"),
        ("/v1/meetings/m/transcript?cursor=", "cursor"),
        ("/v1/meetings/m/transcript?cursor=kgGTAA", "cursor"),
        (f"/v1/meetings/m/transcript?cursor={'x' * 4000}", "cursor"),
        ("/v1/meetings/%00/transcript", "meetingId"),
        ("/v1/meetings/%ff/integrity", "meetingId"),
        (f"/v1/meetings/{'a' * 257}/integrity", "meetingId"),
        (f"/v1/meetings/{quote('e' + chr(0x301))}/integrity", "meetingId"),
    ],
)
def test_request_is_refused_when_a_field_is_bad(replica: Ingest, path: str, field: str) -> None:
    """400 problem+json that names it."""
    response = replica.get(path)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "path", ["/v1/meetings/m/transcript", "/v1/meetings/m/integrity", "/v1/meetings/%00/integrity"]
)
def test_request_is_refused_when_the_caller_may_not_read(replica: Ingest, path: str) -> None:
    """401 without a key or with a wrong one, 403 without the scope; before anything else is looked at."""
    assert replica.get(path, key=None).status_code == 401
    assert replica.get(path, key="wrong").status_code == 401
    assert replica.get(path, key=OTHER_KEY).status_code == 403


def test_schema_describes_both_routes_when_asked(replica: Ingest) -> None:
    """For clients that are generated."""
    paths = replica.get("/schema").json()["paths"]
    assert {"/v1/meetings/{meeting_id}/transcript", "/v1/meetings/{meeting_id}/integrity"} <= set(paths)


def test_rest_flows_on_when_entries_are_malformed(
    replica: Ingest, stream_client: redis.Redis, module_database_url: str
) -> None:
    """Garbage, a missing field, a future version: each a dead letter with its bytes; the lines around them are stored."""
    producer = Producer("around")
    bad = [b"\xc1garbage", msgspec.msgpack.encode([2, "lines", "of the future"]), b""]
    ids = put(stream_client, producer.open(), bad[0], producer.say(4), *bad[1:], producer.say(1), producer.close())
    fieldless = stream_client.xadd(stream_key(0), {"wrong": b"field"})
    assert isinstance(fieldless, bytes)
    wait_until(lambda: replica.is_complete("around"), seconds=COMMITTED_SECONDS)
    ids.append(fieldless.decode())
    wait_until(lambda: len(dead_letters(module_database_url, ids)) == 4, seconds=COMMITTED_SECONDS)
    letters = dead_letters(module_database_url, ids)
    assert [reason for reason, *_ in letters] == ["malformed", "unknown_version", "malformed", "no_batch"]
    assert [payload for *_, payload in letters[:3]] == bad
    assert replica.metric("meetai_ingest_dead_letters_total") >= 4


def test_batch_is_stored_but_for_one_line_when_that_holds_nul(
    replica: Ingest, stream_client: redis.Redis, module_database_url: str
) -> None:
    """The line is a dead letter under its id, integrity says so, and its text is not in the log."""
    producer = Producer("nul")
    batch = msgspec.msgpack.decode(producer.say(5))
    batch[8][2][3] = "hush\0hush"
    (entry_id, _) = put(stream_client, msgspec.msgpack.encode(batch), producer.close())
    wait_until(lambda: replica.integrity("nul").producers, seconds=COMMITTED_SECONDS)
    assert [line.seq for line in replica.transcript("nul")] == [1, 2, 4, 5]
    ((reason, seq, meeting_id, payload),) = dead_letters(module_database_url, [entry_id])
    assert (reason, seq, meeting_id) == ("malformed", 3, "nul")
    assert b"hush\0hush" in payload
    wait_until(lambda: replica.integrity("nul").producers[0].closed, seconds=COMMITTED_SECONDS)
    assert replica.integrity("nul").reason == "1 line in the dead letters"
    assert "hush" not in replica.log()


def test_refused_lines_are_singled_out_when_postgres_takes_the_rest(
    replica: Ingest, stream_client: redis.Redis, module_database_url: str
) -> None:
    """Two of 120 lines in one write: two dead letters that can be redriven, 118 lines."""
    with psycopg.connect(module_database_url, autocommit=True) as admin:
        admin.execute("SET search_path = transcript_ingest")
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'quoting %', NEW.text USING ERRCODE = '22021'; END $$"
        )
        admin.execute(
            "CREATE TRIGGER refusing BEFORE INSERT ON lines FOR EACH ROW WHEN (NEW.text = 'poison') EXECUTE FUNCTION refuse()"
        )
        producer = Producer("poisoned")
        batches = [[producer.line("poison" if number in {17, 96} else None) for number in part] for part in parts()]
        entries = [encode_batch(producer.batch(*lines)) for lines in batches]
        ids = put(stream_client, *entries, producer.close())
        wait_until(lambda: replica.integrity("poisoned").producers, seconds=COMMITTED_SECONDS)
        wait_until(lambda: replica.integrity("poisoned").producers[0].closed, seconds=COMMITTED_SECONDS)
        admin.execute("DROP TRIGGER refusing ON lines")
    (known,) = replica.integrity("poisoned").producers
    assert (known.stored, known.dead, known.missing) == (118, 2, ())
    letters = dead_letters(module_database_url, ids)
    assert [(reason, seq) for reason, seq, *_ in letters] == [("refused", 17), ("refused", 96)]
    assert [decode_batch(payload).lines[0].seq for *_, payload in letters] == [17, 96]
    assert "poison'" not in replica.log()
    assert "quoting" not in replica.log()


def parts() -> list[range]:
    return [range(first, first + 10) for first in range(1, 121, 10)]


def test_first_line_is_kept_when_another_says_something_else_under_its_id(
    replica: Ingest, stream_client: redis.Redis, module_database_url: str
) -> None:
    """The same bytes again are nothing; other text under a stored id is a dead letter."""
    producer = Producer("twice")
    entry = producer.say(3)
    put(stream_client, entry, entry)
    wait_until(lambda: len(replica.page("twice").lines) == 3, seconds=COMMITTED_SECONDS)
    changed = encode_batch(producer.batch(producer.line("changed", seq=2)))
    ids = put(stream_client, changed, entry, producer.close())
    wait_until(lambda: replica.integrity("twice").producers[0].closed, seconds=COMMITTED_SECONDS)
    assert [line.text for line in replica.transcript("twice")] == [line.text for line in producer.said]
    ((reason, seq, _, payload),) = dead_letters(module_database_url, ids)
    assert (reason, seq, decode_batch(payload).lines[0].text) == ("conflict", 2, "changed")
    assert replica.metric("meetai_ingest_lines_duplicate_total") >= 3


def test_log_tells_of_each_set_without_a_word_of_it(replica: Ingest, stream_client: redis.Redis) -> None:
    """One canonical line with ids and counts; no text, no name, no key."""
    producer = Producer("logged")
    (first, *_, last) = put(stream_client, producer.say(2), producer.close())
    wait_until(lambda: replica.is_complete("logged"), seconds=COMMITTED_SECONDS)
    wait_until(lambda: last in replica.log(), seconds=COMMITTED_SECONDS)
    records = [msgspec.json.decode(line) for line in replica.log().splitlines()]
    told = [record for record in records if record["event"] == "batch_committed" and record["first_entry"] >= first]
    assert sum(record["lines"] for record in told) == 2
    assert set(told[0]) == {
        *("event", "level", "at", "service", "stream", "first_entry", "last_entry", "entries"),
        *("lines", "duplicates", "conflicts", "erased", "malformed", "ms"),
    }
    assert "line 1 of" not in replica.log()
    assert "Zoë" not in replica.log()
