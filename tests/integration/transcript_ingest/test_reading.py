"""From the stream to a reader, through the running service."""

from __future__ import annotations

import redis
from tests.integration.transcript_ingest.ingest_process import Ingest
from tests.integration.transcript_ingest.waiting import wait_until
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.api import StoredLine, stored_line
from meetai_contracts.transcript import BATCH_FIELD, TranscriptLine, stream_key


def as_stored(line: TranscriptLine, like: StoredLine) -> StoredLine:
    return stored_line(line, like.committed_at)


def test_transcript_is_what_was_said_when_read_back(replica: Ingest, stream_client: redis.Redis) -> None:
    """Every field of every line comes back, in the order spoken, and the integrity is complete once the producer closed."""
    producer = Producer("q3/планёрка")
    for entry in (producer.open(), producer.say(10), producer.say(3), producer.close()):
        stream_client.xadd(stream_key(0), {BATCH_FIELD: entry})
    wait_until(lambda: replica.is_complete(producer.meeting_id), seconds=10)
    stored = replica.transcript(producer.meeting_id)
    assert stored == [as_stored(line, like) for line, like in zip(producer.said, stored, strict=True)]
    integrity = replica.integrity(producer.meeting_id)
    assert integrity.reason == "all stored and closed: 13 lines of 1 producer"
    (known,) = integrity.producers
    assert (known.declared, known.stored, known.dead, known.missing, known.closed) == (13, 13, 0, (), True)
