"""`StreamObserver` on Prometheus. Labels are streams, of which a deployment has a few."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from meetai_servicekit.streams.ports import StreamStatus


class PrometheusStreamObserver:
    """Counts into one registry, under the service's prefix, e.g. `meetai_ingest`."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        def counter(name: str, help_text: str, label: str) -> Counter:
            return Counter(f"{prefix}_{name}", help_text, (label,), registry=registry)

        def gauge(name: str, help_text: str) -> Gauge:
            return Gauge(f"{prefix}_{name}", help_text, ("stream",), registry=registry)

        self._postponed = counter("postponed", "Attempts that failed and are made again.", "what")
        self._reclaimed = counter("entries_reclaimed", "Entries taken over from quiet consumers.", "stream")
        self._lost = counter(
            "entries_lost", "Pending entries that had left the stream. Any at all is an alarm.", "stream"
        )
        self._lag = gauge("stream_lag_entries", "Entries that no consumer has had yet.")
        self._pending = gauge("stream_pending_entries", "Entries delivered and not acknowledged.")
        self._oldest = gauge("stream_oldest_pending_seconds", "Age of the oldest entry that is not acknowledged.")
        self._memory = gauge(
            "stream_memory_ratio",
            "Used share of what the stream's Redis may use; at 1 it takes no more entries. 0 without a limit.",
        )

    def postponed(self, what: str) -> None:
        """See `CountsPostponed.postponed`."""
        self._postponed.labels(what).inc()

    def reclaimed(self, stream: str, entries: int) -> None:
        """See `StreamObserver.reclaimed`."""
        self._reclaimed.labels(stream).inc(entries)

    def lost(self, stream: str, entries: int) -> None:
        """See `StreamObserver.lost`."""
        self._lost.labels(stream).inc(entries)

    def stream_seen(self, stream: str, status: StreamStatus) -> None:
        """See `StreamObserver.stream_seen`."""
        self._lag.labels(stream).set(status.lag_entries)
        self._pending.labels(stream).set(status.pending_entries)
        self._oldest.labels(stream).set(status.oldest_pending_seconds)
        self._memory.labels(stream).set(status.memory_ratio)
        self._lost.labels(stream)  # that there is a 0 before the first loss lets `increase` see it
