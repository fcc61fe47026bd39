"""`Observer` and `ReadingObserver` on Prometheus. Owns the metrics' names; no label holds a meeting or a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from meetai_servicekit.streams.prometheus import PrometheusStreamObserver
from meetai_servicekit.tracing import current_exemplar
from meetai_transcript_ingest.domain.parcels import DeadReason
from meetai_transcript_ingest.ports import Committed, Unsent

COMMIT_BUCKETS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""From the issue's goal (p50 5 ms, p99 25 ms) to an outage."""


DURABLE_BUCKETS_SECONDS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0, 3600.0)
"""About a second until words are recognised, up to 3 s until they are flushed; an outage of an hour is to be survived."""


class PrometheusObserver(PrometheusStreamObserver):
    """Counts into one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "meetai_ingest")

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"meetai_ingest_{name}", help_text, labels, registry=registry)

        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"meetai_ingest_{name}", help_text, labels, registry=registry)

        self._entries = counter("entries_committed", "Stream entries made durable.", "stream")
        self._lines = counter("lines_committed", "Lines newly stored.", "stream")
        self._duplicates = counter("lines_duplicate", "Lines that were stored before, saying the same.", "stream")
        self._erased_lines = counter("lines_erased", "Lines not stored because their meeting was erased.", "stream")
        self._named_lost = counter("lines_lost", "Lines that their agent has named as lost (gaps).", "stream")
        self._dead = counter("dead_letters", "Entries and lines put into the dead-letter table.", "reason")
        for reason in get_args(DeadReason):
            self._dead.labels(reason)  # that there is a 0 before the first lets `increase` see it
        self._letters = gauge(
            "dead_letters_kept", "Dead letters that wait to be redriven or discarded; counted up to 10,000."
        )
        self._redriven = counter("dead_letters_redriven", "Dead letters tried again, by what became of them.", "fate")
        self._erased = counter("meetings_erased", "Erasures finished.")
        self._expired = counter("expired", "Partitions dropped and rows removed, older than the retention.", "what")
        self._published = counter("events_published", "Events put on the events stream.")
        self._unsent = gauge("events_unsent", "Events in the outbox that the events stream hasn't confirmed.")
        self._unsent_seconds = gauge("events_unsent_oldest_seconds", "How long the oldest of those has waited.")
        self._seconds = Histogram(
            "meetai_ingest_commit_seconds",
            "From a set of entries in hand to its COMMIT.",
            ("stream",),
            registry=registry,
            buckets=COMMIT_BUCKETS_SECONDS,
        )
        self._durable_seconds = Histogram(
            "meetai_ingest_durable_seconds",
            "From the end of an entry's first words, by the agent's clock, to its COMMIT; one sample an entry.",
            ("stream",),
            registry=registry,
            buckets=DURABLE_BUCKETS_SECONDS,
        )

    def committed(self, stream: str, entries: int, outcome: Committed, seconds: float) -> None:
        """See `Observer.committed`."""
        self._entries.labels(stream).inc(entries)
        self._lines.labels(stream).inc(outcome.lines)
        self._duplicates.labels(stream).inc(outcome.duplicates)
        self._erased_lines.labels(stream).inc(outcome.erased)
        self._named_lost.labels(stream)
        self._seconds.labels(stream).observe(seconds, current_exemplar())

    def durable(self, stream: str, waits_seconds: Sequence[float]) -> None:
        """See `Observer.durable`."""
        observe, exemplar = self._durable_seconds.labels(stream).observe, current_exemplar()
        for seconds in waits_seconds:
            observe(seconds, exemplar)

    def named_lost(self, stream: str, lines: int) -> None:
        """See `Observer.named_lost`."""
        self._named_lost.labels(stream).inc(lines)

    def letters_seen(self, kept: int) -> None:
        """See `Observer.letters_seen`."""
        self._letters.set(kept)

    def dead_lettered(self, reason: str, count: int) -> None:
        """See `Observer.dead_lettered`."""
        self._dead.labels(reason).inc(count)

    def redriven(self, fate: str) -> None:
        """See `Observer.redriven`."""
        self._redriven.labels(fate).inc()

    def erased(self) -> None:
        """See `Observer.erased`."""
        self._erased.inc()

    def expired(self, what: str, count: int) -> None:
        """See `Observer.expired`."""
        self._expired.labels(what).inc(count)

    def published(self, events: int) -> None:
        """See `Observer.published`."""
        self._published.inc(events)

    def outbox_seen(self, unsent: Unsent) -> None:
        """See `Observer.outbox_seen`."""
        self._unsent.set(unsent.count)
        self._unsent_seconds.set(unsent.oldest_seconds)


class PrometheusReadingObserver:
    """Counts into one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._clients = Gauge("meetai_ingest_sse_clients", "Clients that follow a meeting now.", registry=registry)
        self._exports = Counter(
            "meetai_ingest_exports",
            "Transcripts exported, by format; cut: the store or the reader went away before the end.",
            ("format", "outcome"),
            registry=registry,
        )

    def following(self, clients: int) -> None:
        """See `ReadingObserver.following`."""
        self._clients.set(clients)

    def exported(self, suffix: str, *, is_whole: bool) -> None:
        """See `ReadingObserver.exported`."""
        self._exports.labels(suffix, "whole" if is_whole else "cut").inc()
