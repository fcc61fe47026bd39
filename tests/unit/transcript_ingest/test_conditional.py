"""Answers that a client has already, and those that it asks for by time."""

from __future__ import annotations

import pytest
from tests.unit.transcript_ingest.fakes import COMMITTED_AT
from tests.unit.transcript_ingest.producing import Producer
from tests.unit.transcript_ingest.serving import WatchedStore, asking

from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.paging import LONGEST_TRANSACTION

PATHS = (
    "transcript",
    "transcript?limit=2",
    "transcript.vtt",
    "transcript.srt",
    "transcript.txt",
    "transcript.md",
    "transcript.json",
)


async def say(store: WatchedStore, producer: Producer, lines: int) -> None:
    await store.commit(unpack(Arrival("stream", "1-1", {b"b": producer.say(lines)})).parcels, ())


@pytest.mark.parametrize("path", PATHS)
async def test_answer_is_304_when_nothing_has_changed(path: str) -> None:
    """The store is asked for the meeting's version and nothing else, until a line is committed."""
    store, producer = WatchedStore(), Producer()
    await say(store, producer, 3)
    async with asking(store) as client:
        first = await client.get(f"/v1/meetings/standup/{path}")
        tag = first.headers["etag"]
        store.asked = 0
        again = await client.get(f"/v1/meetings/standup/{path}", headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert store.asked == 1
        assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
        await say(store, producer, 1)
        changed = await client.get(f"/v1/meetings/standup/{path}", headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [
        ('W/"1-3-1"', 304),
        ('"1-3-1"', 304),
        ('"x", W/"1-3-1" , "y"', 304),
        ("*", 304),
        ('W/"1-2-1"', 200),
        ('W/"1-3-0"', 200),
        ('W/"2-3-1"', 200),
        ("1-3-1", 200),
        ('"1-3-1', 200),
        ("", 200),
        (",,,", 200),
        ("é", 200),
    ],
)
async def test_tags_are_compared_weakly_when_a_client_sends_them(if_none_match: str, status: int) -> None:
    """Lists and `*` count (RFC 9110, section 13.1.2); what is no tag of ours is no match and no error."""
    store = WatchedStore()
    await say(store, Producer(), 3)
    async with asking(store) as client:
        headers = {b"If-None-Match": if_none_match.encode()}
        response = await client.get("/v1/meetings/standup/transcript", headers=headers)
    assert response.status_code == status


async def test_lines_are_left_out_when_they_were_seen_well_before() -> None:
    """Not before the longest transaction is over; the cursor goes on within the same selection."""
    store = WatchedStore()
    await say(store, Producer(), 3)
    async with asking(store) as client:
        for after, expected in [(COMMITTED_AT, 3), (COMMITTED_AT + LONGEST_TRANSACTION, 3)]:
            query = {"updated_after": after.isoformat(), "limit": "2"}
            page = (await client.get("/v1/meetings/standup/transcript", params=query)).json()
            rest = (
                await client.get("/v1/meetings/standup/transcript", params={**query, "cursor": page["next"]})
            ).json()
            assert len(page["lines"] + rest["lines"]) == expected
        late = (COMMITTED_AT + LONGEST_TRANSACTION * 1.01).isoformat()
        response = await client.get("/v1/meetings/standup/transcript", params={"updated_after": late})
        assert response.json() == {"lines": [], "next": None}


@pytest.mark.parametrize(
    "instant", ["", "now", "1790000000", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00:00 00:00", "2026-13-01T00:00:00Z"]
)  # fmt: skip
async def test_instant_is_refused_when_it_is_not_one(instant: str) -> None:
    """Without an offset nobody knows when that was; the field is named."""
    async with asking(WatchedStore()) as client:
        response = await client.get("/v1/meetings/standup/transcript", params={"updated_after": instant})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "updated_after"


async def test_instant_is_accepted_when_it_is_as_early_as_can_be() -> None:
    """The first instant that there is has no half minute before it."""
    async with asking(WatchedStore()) as client:
        response = await client.get("/v1/meetings/standup/transcript", params={"updated_after": "0001-01-01T00:00:00Z"})
    assert response.status_code == 200
