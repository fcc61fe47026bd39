"""`SearchObserver` on Prometheus. Owns the metrics' names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from meetai_transcript_ingest.domain.search import IndexBacklog


class PrometheusSearchObserver:
    """Counts into one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._indexed = Counter("meetai_search_lines_indexed", "Lines taken into the search index.", registry=registry)
        self._swept = Counter(
            "meetai_search_lines_swept",
            "Index entries dropped after the retention dropped their lines.",
            registry=registry,
        )
        self._lag_lines = Gauge("meetai_search_lag_lines", "Lines stored and not indexed.", registry=registry)
        self._lag_seconds = Gauge(
            "meetai_search_lag_seconds", "How long the oldest of those has waited.", registry=registry
        )

    def indexed(self, lines: int) -> None:
        """See `SearchObserver.indexed`."""
        self._indexed.inc(lines)

    def swept(self, lines: int) -> None:
        """See `SearchObserver.swept`."""
        self._swept.inc(lines)

    def backlog_seen(self, backlog: IndexBacklog) -> None:
        """See `SearchObserver.backlog_seen`."""
        self._lag_lines.set(backlog.lines)
        self._lag_seconds.set(backlog.oldest_seconds)
