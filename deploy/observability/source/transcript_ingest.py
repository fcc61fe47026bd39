"""transcript-ingest's dashboard."""

from __future__ import annotations

from typing import Final

from deploy.observability.source.panels import Graph, N, Query, Section, http_section, quantiles, rate

SECTIONS: Final = (
    Section(
        "From stream to store",
        (
            Graph(
                "Lines",
                "Stored; there already; left out as erased.",
                "cps",
                tuple(
                    Query(rate(f"meetai_ingest_lines_{what}_total"), what)
                    for what in ("committed", "duplicate", "erased")
                ),
            ),
            Graph(
                "Words to COMMIT",
                "By the agent's and ingest's clocks.",
                "s",
                quantiles("meetai_ingest_durable_seconds"),
            ),
            Graph("Time of a commit", "", "s", quantiles("meetai_ingest_commit_seconds")),
            Graph(
                "Waiting on the stream",
                "Not read, and not acknowledged.",
                "short",
                (
                    Query(f"max by (stream) (meetai_ingest_stream_lag_entries{{{N}}})", "{{stream}} unread"),
                    Query(f"max by (stream) (meetai_ingest_stream_pending_entries{{{N}}})", "{{stream}} pending"),
                ),
            ),
            Graph(
                "Oldest pending",
                "",
                "s",
                (Query(f"max by (stream) (meetai_ingest_stream_oldest_pending_seconds{{{N}}})", "{{stream}}"),),
            ),
            Graph(
                "Redis' memory",
                "At 1 it takes no more entries.",
                "percentunit",
                (Query(f"max(meetai_ingest_stream_memory_ratio{{{N}}})", "used"),),
            ),
        ),
    ),
    Section(
        "What goes wrong",
        (
            Graph(
                "Dead letters",
                "Those kept, and new ones by reason.",
                "short",
                (
                    Query(f"max(meetai_ingest_dead_letters_kept{{{N}}})", "kept"),
                    Query(rate("meetai_ingest_dead_letters_total", "reason"), "new, {{reason}}"),
                ),
            ),
            Graph(
                "Lost",
                "Named by agents; left the stream unread.",
                "cps",
                (
                    Query(rate("meetai_ingest_lines_lost_total"), "lines"),
                    Query(rate("meetai_ingest_entries_lost_total"), "entries"),
                ),
            ),
            Graph(
                "Postponed",
                "Attempts that are made again.",
                "cps",
                (Query(rate("meetai_ingest_postponed_total", "what"), "{{what}}"),),
            ),
        ),
    ),
    Section(
        "Reading",
        (
            Graph(
                "Followers",
                "Clients of the live tail.",
                "short",
                (Query(f"sum(meetai_ingest_sse_clients{{{N}}})", "clients"),),
            ),
            Graph(
                "Not searchable yet",
                "How long the oldest line waits for the index.",
                "s",
                (Query(f"max(meetai_search_lag_seconds{{{N}}})", "oldest"),),
            ),
            Graph(
                "Completions to announce",
                "Age of the oldest.",
                "s",
                (Query(f"max(meetai_ingest_events_unsent_oldest_seconds{{{N}}})", "oldest"),),
            ),
        ),
    ),
    http_section(),
)
