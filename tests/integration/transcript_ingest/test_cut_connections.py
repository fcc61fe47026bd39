"""A connection that is cut within a request leaves open whether that landed; a line is stored once whichever it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.integration.transcript_ingest.load import assert_everything_is_stored_once, load
from tests.servers.cutting_proxy import Cut, Where, cutting_proxy
from tests.waiting import wait_until

from meetai_contracts.transcript import stream_key
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS
from meetai_transcript_ingest.consumer import GROUP

KEY = stream_key(0)
COMMIT = b"\xff\xffc\x00\x00\x00\x04"
"""The last row's end and CopyDone: the COMMIT is in the statement before, and the server goes on to it by itself."""
COPY = b"COPY "
"""Nothing but the storing of lines copies."""
ROWS = b" of meeting "
"""In every row of a COPY, and nowhere else."""
CUTS = 8
ROUND_ENTRIES = 100
IN_TIME_SECONDS = 30


def plain(database_url: str) -> str:
    """Without encryption, as the proxy has to read along."""
    return f"{database_url}?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Cut(COMMIT, "after", following=COPY, every=2, times=CUTS), id="COMMIT-landed"),
        pytest.param(Cut(COMMIT, "before", following=COPY, every=2, times=CUTS), id="COMMIT-did-not-land"),
        pytest.param(Cut(ROWS, "within", following=COPY, every=3, times=CUTS), id="COPY-in-mid-flight"),
    ],
)
def test_everything_is_stored_once_when_connections_to_postgres_are_cut(
    tmp_path: Path, database_url: str, redis_url: str, cut: Cut
) -> None:
    """Again and again under load, in first tries and in retries; what had landed is found to be a duplicate."""
    with (
        cutting_proxy(plain(database_url)) as (proxy, through_proxy),
        ingest(tmp_path, through_proxy, redis_url) as replica,
        load(redis_url) as said,
    ):
        said.wait_for(ROUND_ENTRIES)
        proxy.cut(cut)
        wait_until(lambda: proxy.cuts == CUTS, seconds=IN_TIME_SECONDS)
        said.wait_for(ROUND_ENTRIES)
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=IN_TIME_SECONDS)
        assert replica.metric("meetai_ingest_postponed_total") >= CUTS
        assert replica.metric("meetai_ingest_entries_lost_total") == 0
        assert replica.metric("meetai_ingest_dead_letters_total") == 0


def test_everything_is_stored_once_and_nothing_stays_pending_when_acknowledgements_are_cut(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis
) -> None:
    """Whether Redis had one or not, the consumer says it again until it is answered."""
    everywhere: tuple[Where, ...] = ("after", "before", "within")
    with (
        cutting_proxy(redis_url) as (proxy, through_proxy),
        ingest(tmp_path, database_url, through_proxy) as replica,
        load(redis_url) as said,
    ):
        for where in everywhere:
            proxy.cut(Cut(b"XACK", where, every=2, times=CUTS // 2))
            wait_until(lambda: proxy.cuts == CUTS // 2, seconds=IN_TIME_SECONDS)
        said.finish()
        assert_everything_is_stored_once(replica, said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: stream_client.xpending(KEY, GROUP)["pending"] == 0, seconds=5)
        assert replica.metric("meetai_ingest_entries_reclaimed_total") == 0


@pytest.mark.parametrize("where", ["after", "before"])
def test_everything_is_stored_once_when_reads_are_cut(
    tmp_path: Path, database_url: str, redis_url: str, stream_client: redis.Redis, where: Where
) -> None:
    """Entries that were given to a consumer that never saw them are taken over by the same consumer later; a read that didn't land gives none."""
    with (
        cutting_proxy(redis_url) as (proxy, through_proxy),
        ingest(tmp_path, database_url, through_proxy) as replica,
        load(redis_url) as said,
    ):
        said.wait_for(ROUND_ENTRIES)
        proxy.cut(Cut(b"XREADGROUP", where, every=2, times=CUTS))
        wait_until(lambda: proxy.cuts == CUTS, seconds=IN_TIME_SECONDS)
        said.finish()
        wait_until(lambda: stream_client.xinfo_groups(KEY)[0]["lag"] == 0, seconds=IN_TIME_SECONDS)
        pending: Any = stream_client.xpending_range(KEY, GROUP, min="-", max="+", count=10_000)
        for entry in pending:  # as when time passes
            owner, entry_id = entry["consumer"].decode(), entry["message_id"]
            stream_client.xclaim(KEY, GROUP, owner, 0, [entry_id], idle=RECLAIM_IDLE_MS, justid=True)
        assert_everything_is_stored_once(replica, said, seconds=IN_TIME_SECONDS)
        wait_until(lambda: stream_client.xpending(KEY, GROUP)["pending"] == 0, seconds=5)
        assert (replica.metric("meetai_ingest_entries_reclaimed_total") > 0) == (where == "after")
        assert replica.metric("meetai_ingest_entries_lost_total") == 0
