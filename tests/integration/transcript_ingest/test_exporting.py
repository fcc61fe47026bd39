"""Exports through the running service: streamed, in order, whole or known not to be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import psycopg
import pytest
import redis
import srt
import webvtt
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest, ingest
from tests.servers.embedded import EmbeddedServer
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key
from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_transcript_ingest.domain.exports.documents import TranscriptDocument

LINES = 12_000
FILL = """
INSERT INTO transcript_ingest.lines (producer_id, seq, started_ms, ended_ms, producer_started, interrupted, speaker_kind,
    meeting_id, room_sid, speaker_identity, speaker_name, text)
SELECT %(producer)s, n, 1790000000000 + n * 1000, 1790000000000 + n * 1000 + 900, %(day)s, false, 'human',
    %(meeting)s, 'RM_1', 'ada', 'Ada', repeat('what was said ', 70) || n
FROM generate_series(1, %(lines)s) AS n
"""


def send(client: redis.Redis, *entries: bytes) -> None:
    for entry in entries:
        client.xadd(stream_key(0), {BATCH_FIELD: entry})


def say(client: redis.Redis, replica: Ingest, producer: Producer, *texts: str) -> None:
    """Have it said, and wait until it is stored."""
    lines = [producer.line(text) for text in texts]
    send(client, producer.open(), encode_batch(producer.batch(*lines)), producer.close())
    wait_until(lambda: replica.is_complete(producer.meeting_id), seconds=10)


def fill(database_url: str, client: redis.Redis, replica: Ingest, meeting_id: str, lines: int) -> None:
    """A meeting of about 1 KB a line."""
    producer = Producer(meeting_id)
    send(client, producer.open())
    with psycopg.connect(database_url, autocommit=True) as admin:
        query = "SELECT producer_started FROM transcript_ingest.producers WHERE producer_id = %s"
        wait_until(lambda: admin.execute(query, [producer.producer_id]).fetchone(), seconds=10)
        row = admin.execute(query, [producer.producer_id]).fetchone()
        assert row is not None
        values = {"producer": producer.producer_id, "day": row[0], "meeting": meeting_id, "lines": lines}
        admin.execute(FILL, values)
    assert replica.is_alive()


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [
        ("vtt", "text/vtt; charset=utf-8"),
        ("srt", "application/x-subrip; charset=utf-8"),
        ("txt", "text/plain; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("json", "application/json"),
    ],
)
def test_export_comes_as_a_file_when_it_is_asked_for(
    replica: Ingest, stream_client: redis.Redis, suffix: str, media_type: str
) -> None:
    """With its type, a safe name, and no sniffing; empty for a meeting that nobody has heard of."""
    producer = Producer(f'q3/"планёрка" {suffix}')
    say(stream_client, replica, producer, "hello --> <b>world</b>", "שלום\n\nmore 👩‍👩‍👧‍👦")
    path = f"/v1/meetings/{quote(producer.meeting_id, safe='')}/transcript.{suffix}"
    response = replica.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"].startswith('attachment; filename="transcript-q3__')
    assert "content-length" not in response.headers
    assert "world" in response.text
    assert replica.get(f"/v1/meetings/nobody/transcript.{suffix}").status_code == 200
    assert replica.get(path, key=None).status_code == 401


def test_exports_are_read_by_other_programs_when_they_come_over_http(
    replica: Ingest, stream_client: redis.Redis
) -> None:
    """Two people at once, in the three formats that programs read."""
    ada, bob = Producer("overlap"), Producer("overlap", from_ms=300)
    say(stream_client, replica, ada, "one", "two")
    say(stream_client, replica, bob, "eins", "zwei")
    cues = webvtt.from_string(replica.get("/v1/meetings/overlap/transcript.vtt").text).captions
    assert [(cue.start, cue.end) for cue in cues] == [
        ("00:00:00.000", "00:00:00.800"),
        ("00:00:00.300", "00:00:01.100"),
        ("00:00:01.000", "00:00:01.800"),
        ("00:00:01.300", "00:00:02.100"),
    ]
    assert len(list(srt.parse(replica.get("/v1/meetings/overlap/transcript.srt").text))) == 4
    content = replica.get("/v1/meetings/overlap/transcript.json").content
    document = msgspec.json.decode(content, type=TranscriptDocument)
    assert list(document.lines) == replica.transcript("overlap")


@pytest.fixture
def own(tmp_path: Path, postgres_server: EmbeddedServer, redis_server: EmbeddedServer) -> Iterator[Ingest]:
    """A replica over servers of this test's own."""
    migrate(postgres_server.url, schema=SCHEMA, migrations=MIGRATIONS)
    with ingest(tmp_path, postgres_server.url, redis_server.url) as replica:
        yield replica


def test_memory_stays_flat_when_a_long_transcript_is_exported_slowly(
    replica: Ingest, module_database_url: str, stream_client: redis.Redis
) -> None:
    """Five readers of 14 MB at once, 70 MB on their way: the process grows by the page that each is being given."""
    fill(module_database_url, stream_client, replica, "long", LINES)
    url = f"{replica.url}/v1/meetings/long/transcript.json"
    headers = {"Authorization": f"Bearer {READER_KEY}"}
    httpx.get(url, headers=headers, timeout=60)  # buffers of sockets and of PostgreSQL have their size by now
    before_kb = peak_kb(replica, reset=True)
    sizes: list[int] = []

    def read() -> None:
        with httpx.stream("GET", url, headers=headers, timeout=60) as response:
            sizes.append(sum(len(chunk) for chunk in response.iter_bytes()))

    readers = [threading.Thread(target=read) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=60)
    assert len(sizes) == 5
    assert min(sizes) > 14_000_000
    assert peak_kb(replica) - before_kb < 25_000


def peak_kb(replica: Ingest, *, reset: bool = False) -> int:
    """The most memory that the process has had resident, since the last reset."""
    folder = Path(f"/proc/{replica.process.pid}")
    if reset:
        (folder / "clear_refs").write_text("5")
    (line,) = [line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def test_lines_are_in_order_and_single_when_the_transcript_grows_meanwhile(
    replica: Ingest, module_database_url: str, stream_client: redis.Redis
) -> None:
    """Others speak before, between and after what is being exported; what was there at the start is all there."""
    fill(module_database_url, stream_client, replica, "growing", 6_000)
    late = (
        Producer("growing", from_ms=-3_600_000),
        Producer("growing", from_ms=500),
        Producer("growing", from_ms=2_000_000),
    )
    stopping = threading.Event()

    def talk() -> None:
        while not stopping.is_set():
            send(stream_client, *(producer.say(5) for producer in late))
            stopping.wait(0.005)

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        for _ in range(3):
            content = replica.get("/v1/meetings/growing/transcript.json").content
            lines = msgspec.json.decode(content, type=TranscriptDocument).lines
            order = [(line.started_ms, line.producer_id, line.seq) for line in lines]
            assert order == sorted(set(order))
            assert sum(line.speaker.identity == "ada" for line in lines) == 6_000
    finally:
        stopping.set()
        talking.join(timeout=10)


def test_file_is_known_to_be_cut_when_the_store_goes_away(
    own: Ingest, postgres_server: EmbeddedServer, redis_server: EmbeddedServer
) -> None:
    """Before the first page it is 503; after it, the response ends without its last chunk. The service goes on."""
    with redis.Redis.from_url(redis_server.url) as client:
        fill(postgres_server.url, client, own, "cut", LINES)
    url = f"{own.url}/v1/meetings/cut/transcript.json"
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {READER_KEY}"}, timeout=60) as response:
        chunks = response.iter_raw()
        next(chunks)
        postgres_server.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in chunks:
                pass
    assert own.get("/v1/meetings/cut/transcript.json").status_code == 503
    assert 'meetai_ingest_exports_total{format="json",outcome="cut"} 1.0' in own.get("/metrics").text
    postgres_server.start()
    wait_until(own.is_ready, seconds=20)
    assert own.get("/v1/meetings/cut/transcript.vtt").status_code == 200
    assert own.metric("meetai_ingest_exports_total") == 2
