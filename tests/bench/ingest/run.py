"""The rows of the report about transcript-ingest (issue 4, "Speed")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from msgspec import Struct
from tests.bench.comparing import Figure, Row, alternate, compared
from tests.bench.ingest.jsonb import jsonb_append_rate
from tests.bench.ingest.meetings import LINES_A_BATCH, Said, say
from tests.bench.ingest.ours import Database, OurSide, worker
from tests.bench.ingest.paced import commit_latencies_ms, percentile
from tests.bench.ingest.per_message import per_message_rate
from tests.bench.ingest.psql_copy import PsqlCopy
from tests.bench.ingest.reading import Readers, replica_for_reading
from tests.bench.ingest.searching import Searchers
from tests.bench.servers import Servers, servers
from tests.integration.transcript_ingest.ingest_process import Ingest

from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA

RATE = "lines/s"
LOAD = 0.5
"""Of what one connection stores, for the row about latency."""
READINGS = 5
"""For every repetition of the writes: a reading takes milliseconds."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is measured, how often.

    Attributes:
        lines: Of a prefilled stream.
        rows: In the table that is compared with an empty one; the issue's own figure is 5 million.
        messages: For the consumer that takes one at a time.
        appends: To the JSONB column.
        paced_seconds: How long the even load lasts.
        meeting_lines: Of the meeting that is read.
    """

    repeat: int = 3
    lines: int = 200_000
    rows: int = 1_000_000
    messages: int = 2_000
    appends: int = 20
    paced_seconds: float = 5.0
    meeting_lines: int = 10_000


class Bench:
    """One run over one pair of servers."""

    def __init__(self, on: Servers, scale: Scale, folder: Path, opened: ExitStack) -> None:
        self.on = on
        self.folder = folder
        self.scale = scale
        self.said: Said = say(scale.lines)
        self.database = Database(on)
        self.replica = opened.enter_context(worker(on))
        self.ours = OurSide(on, self.replica, self.database)
        self.psql = PsqlCopy(on, self.database, folder)

    def rows(self) -> Iterator[Row]:
        """Everything, a row as soon as it is there."""
        yield self.beside_psql(connections=2, copies=1, goal=0.9)
        beside_one = self.beside_psql(connections=1, copies=1, goal=0.65)
        yield beside_one
        yield self.beside_psql(connections=2, copies=2)
        yield self.beside_per_message()
        # The 1,000 comes from 125 lines/s that FACTS measured "a flush at a time".
        yield self.beside_jsonb("10 at a time", LINES_A_BATCH, goal=1_000)
        yield self.beside_jsonb("line by line", 1)
        yield from self.latency(LOAD * beside_one.ours.median / LINES_A_BATCH)
        yield self.beside_empty_table()
        yield from self.reading()

    def beside_psql(self, *, connections: int, copies: int, goal: float | None = None) -> Row:
        """A prefilled stream to committed rows, and the same rows from a file by psql, or divided between several at once."""
        self.drain(connections)  # warm, and what the peer copies
        files = self.psql.save_rows(self.said.meetings, connections=copies)

        def copy() -> float:
            self.database.empty()
            return self.psql.rate(files, self.said.lines)

        mine, theirs = alternate(self.scale.repeat, lambda: self.drain(connections), copy)
        title = f"prefilled stream → rows, {connections} connection{'s' if connections > 1 else ''}"
        peer = Figure("psql \\copy" if copies == 1 else f"{copies} psql \\copy at once", RATE, theirs)
        return compared(title, Figure("ours", RATE, mine), peer, goal=goal)

    def beside_per_message(self) -> Row:
        """A prefilled stream to committed rows, and a consumer that takes one message at a time."""
        mine, theirs = alternate(
            self.scale.repeat,
            lambda: self.drain(2),
            lambda: per_message_rate(self.on, self.said, self.scale.messages),
        )
        peer = Figure("SQLAlchemy, a message a COMMIT", RATE, theirs)
        return compared("the same, 2 connections", Figure("ours", RATE, mine), peer, goal=60)

    def beside_jsonb(self, how: str, lines_an_append: int, *, goal: float | None = None) -> Row:
        """A prefilled stream to committed rows, and appending to a JSONB array of 10,000 lines."""
        mine, theirs = alternate(
            self.scale.repeat,
            lambda: self.drain(2),
            lambda: jsonb_append_rate(
                self.on, lines_before=10_000, appends=self.scale.appends, lines_an_append=lines_an_append
            ),
        )
        peer = Figure(f"JSONB array of 10,000, {how}", RATE, theirs)
        return compared("the same, 2 connections", Figure("ours", RATE, mine), peer, goal=goal)

    def latency(self, entries_per_second: float) -> Iterator[Row]:
        """From XADD to COMMIT, under an even load."""
        p50, p99 = [], []
        said = say(int(entries_per_second * self.scale.paced_seconds) * LINES_A_BATCH)
        for _ in range(self.scale.repeat):
            self.database.empty()
            ordered = commit_latencies_ms(self.on, self.replica, said, entries_per_second=entries_per_second)
            assert self.database.lines() == said.lines
            p50.append(percentile(ordered, 50))
            p99.append(percentile(ordered, 99))
        load = f"XADD → COMMIT at {entries_per_second * LINES_A_BATCH:,.0f} lines/s"
        yield Row(f"{load}, p50", Figure("ours", "ms", tuple(p50)), goal=5, better="lower")
        yield Row(f"{load}, p99", Figure("ours", "ms", tuple(p99)), goal=25, better="lower")

    def beside_empty_table(self) -> Row:
        """The same stream into a table that holds many rows of that day already."""

        def full() -> float:
            self.database.empty()
            self.database.fill(self.scale.rows)
            return self.ours.drain_rate(self.said, shards=2)

        mine, theirs = alternate(self.scale.repeat, full, lambda: self.drain(2))
        title = f"into a table of {self.scale.rows:,} rows, 2 connections"
        return compared(title, Figure("ours", RATE, mine), Figure("ours, empty table", RATE, theirs), goal=0.9)

    def reading(self) -> Iterator[Row]:
        """A meeting of 10,000 lines over HTTP, beside a plain SELECT."""
        said = say(self.scale.meeting_lines, meetings=1, name="long")
        self.database.empty()
        self.ours.drain_rate(said, shards=1)
        with replica_for_reading(self.folder, self.on) as replica:
            readers = Readers(self.on, replica, said.meetings[0], said.lines)
            pairs = (
                ("first page of 100 lines, HTTP", "SELECT … LIMIT 100", readers.first_page_ms, readers.select_page_ms),
                ("whole export, .txt", "SELECT, streamed", partial(readers.export_ms, "txt"), readers.select_all_ms),
                ("whole export, .json", "SELECT, streamed", partial(readers.export_ms, "json"), readers.select_all_ms),
            )
            for title, peer, our_ms, their_ms in pairs:
                our_ms()
                mine, theirs = alternate(READINGS * self.scale.repeat, our_ms, their_ms)
                yield compared(
                    f"{said.lines:,}-line meeting: {title}",
                    Figure("ours", "ms", mine),
                    Figure(peer, "ms", theirs),
                    better="lower",
                )
            yield self.searching(replica)

    def searching(self, replica: Ingest) -> Row:
        """The first page of what a search finds, beside a plain SELECT."""
        searchers = Searchers(self.on, replica)
        searchers.search_ms()
        mine, theirs = alternate(READINGS * self.scale.repeat, searchers.search_ms, searchers.select_ms)
        title = f"search of two words in {self.database.lines():,} lines, HTTP"
        peer = Figure("SELECT by tsvector", "ms", theirs)
        return compared(title, Figure("ours", "ms", mine), peer, better="lower")

    def drain(self, connections: int) -> float:
        """The whole stream into empty tables; a connection serves a shard."""
        self.database.empty()
        return self.ours.drain_rate(self.said, shards=connections)


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Measure everything on servers of its own."""
    with ExitStack() as opened:
        on = opened.enter_context(servers(folder))
        migrate(on.database_url, schema=SCHEMA, migrations=MIGRATIONS)
        yield from Bench(on, scale, folder, opened).rows()
