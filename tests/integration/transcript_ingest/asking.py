"""How the tests say things and search for them, as a backend does."""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.api import SearchHit, SearchPage
from meetai_contracts.transcript import BATCH_FIELD, encode_batch, stream_key

FOUND_SECONDS = 15


def say(client: redis.Redis, producer: Producer, *texts: str) -> None:
    entry = encode_batch(producer.batch(*[producer.line(text) for text in texts]))
    client.xadd(stream_key(0), {BATCH_FIELD: entry})


def search(replica: Ingest, query: str, **others: Any) -> SearchPage:
    response = replica.get("/v1/search", q=query, **others).raise_for_status()
    return msgspec.json.decode(response.content, type=SearchPage)


def hits(replica: Ingest, query: str, **others: Any) -> list[SearchHit]:
    """All pages."""
    page = search(replica, query, **others)
    gathered = list(page.hits)
    while page.next is not None:
        page = search(replica, query, cursor=page.next, **others)
        gathered += page.hits
    return gathered
