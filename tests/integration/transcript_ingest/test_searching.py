"""Search through the running service: from the stream to a hit, whatever is asked."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.transcript_ingest.asking import FOUND_SECONDS, say, search
from tests.integration.transcript_ingest.ingest_process import ADMIN_KEY, OTHER_KEY, Ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

SYNTAX = st.sampled_from(
    [*"\"'-!&|()<>:*\\%_", " OR ", " -", ' "', "'; --", "<->", "a", "日本", "שלום", "😀", "\u202e", "$1", "%s"]
)


def test_line_is_found_when_it_has_been_said(replica: Ingest, stream_client: redis.Redis) -> None:
    """With where, when and by whom; the backlog is empty again, and says so."""
    producer = Producer("q3/планёрка")
    say(stream_client, producer, "the <b>quarterly</b> numbers", "nothing")
    wait_until(lambda: search(replica, "quarterly").hits, seconds=FOUND_SECONDS)
    line = producer.said[0]
    (hit,) = search(replica, "quarterly numbers", meetingId="q3/планёрка", speaker="user-1", language="en").hits
    assert (hit.meeting_id, hit.id, hit.started_ms) == ("q3/планёрка", line.id, line.started_ms)
    assert (hit.speaker.identity, hit.speaker.name) == (line.speaker.identity, line.speaker.name)
    assert hit.snippet == "the &lt;b&gt;<mark>quarterly</mark>&lt;/b&gt; <mark>numbers</mark>"
    committed_at = replica.page("q3/планёрка").lines[0].committed_at
    assert search(replica, "quarterly").indexed_through > committed_at
    assert replica.metric("meetai_search_lines_indexed_total") >= 2
    assert replica.metric("meetai_search_lag_lines") >= 0


def test_meeting_is_not_found_when_it_was_erased(replica: Ingest, stream_client: redis.Redis) -> None:
    """From the answer to the erasure on."""
    say(stream_client, Producer("to erase"), "an unforgettable word")
    wait_until(lambda: search(replica, "unforgettable").hits, seconds=FOUND_SECONDS)
    replica.ask("DELETE", "/v1/meetings/to%20erase", ADMIN_KEY).raise_for_status()
    assert not search(replica, "unforgettable").hits


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.one_of(st.lists(SYNTAX, max_size=40).map("".join), st.text(max_size=300)), meeting=st.text(max_size=20))
def test_answer_is_no_failure_when_anything_is_asked(replica: Ingest, query: str, meeting: str) -> None:
    """200 or 400, whatever the query is made of."""
    for others in ({}, {"meetingId": meeting}, {"speaker": meeting}, {"language": meeting}, {"cursor": meeting}):
        response = replica.get("/v1/search", q=query, **others)
        assert response.status_code in {200, 400}, response.text


def test_longest_query_is_answered_when_every_word_is_another(replica: Ingest) -> None:
    """128 words in 30 languages."""
    query = " ".join(chr(0x3B1 + number % 25) + chr(0x61 + number // 25) for number in range(85))[:256]
    assert replica.get("/v1/search", q=query).status_code == 200


@pytest.mark.parametrize(
    ("key", "status"), [(None, 401), ("wrong", 401), (OTHER_KEY, 403)], ids=["none", "wrong", "another"]
)
def test_search_is_refused_when_the_caller_may_not_read(replica: Ingest, key: str | None, status: int) -> None:
    """Before anything is looked for."""
    assert replica.get("/v1/search", key=key, q="a").status_code == status
