"""What is counted, for Prometheus. Label values come from a known few."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from meetai_servicekit.streams.prometheus import PrometheusStreamObserver
from meetai_servicekit.tracing import current_exemplar
from meetai_webhook_bridge.domain.delivery import Backlog


class PrometheusMeasures(PrometheusStreamObserver):
    """Keeps the promise of the port `Measures`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "meetai_bridge")
        self._entries = Counter(
            "meetai_bridge_stream_entries",
            "Entries of the events stream: new, duplicate (known before), unreadable (kept, and listed as dead).",
            ("outcome",),
            registry=registry,
        )
        self._webhooks = Counter(
            "meetai_bridge_webhooks",
            "Webhooks by LiveKit's event and what came of them.",
            ("event", "outcome"),
            registry=registry,
        )
        self._attempts = Counter(
            "meetai_bridge_event_attempts",
            "Attempts to deliver an event to Inngest, by outcome: sent, failed (tried again) or dead (given up).",
            ("outcome",),
            registry=registry,
        )
        self._send_seconds = Histogram(
            "meetai_bridge_send_seconds",
            "Time that one attempt took.",
            ("outcome",),
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0),
        )
        self._delivery_seconds = Histogram(
            "meetai_bridge_event_delivery_seconds",
            "From an event being stored (a webhook's 200), or replayed, to Inngest having it; by who told it.",
            ("source",),
            registry=registry,
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0),
        )
        self._undelivered = Gauge(
            "meetai_bridge_undelivered_events",
            "Events that Inngest doesn't have: pending, or dead (given up).",
            ("state",),
            registry=registry,
        )
        self._oldest_pending_seconds = Gauge(
            "meetai_bridge_oldest_pending_seconds",
            "Age of the oldest pending event; 0 when none is.",
            registry=registry,
        )
        self._rooms = Gauge(
            "meetai_bridge_rooms",
            "Rooms at the leader's last look: live, or missing (LiveKit doesn't know them, or nobody answers for them).",
            ("state",),
            registry=registry,
        )
        self._mended = Counter(
            "meetai_bridge_rooms_mended",
            "What LiveKit didn't do by itself: ended, adopted, announced, metadata_restored, agent_dispatched.",
            ("what",),
            registry=registry,
        )
        self._refused = Counter(
            "meetai_bridge_rooms_refused",
            "Times that a look left a room out, because what is known of it can't be stored.",
            registry=registry,
        )
        self._agents_missing = Gauge(
            "meetai_bridge_agents_missing",
            "Rooms with people that want an agent and have none: waited_for, or given_up after many dispatches.",
            ("state",),
            registry=registry,
        )
        self._leads = Gauge("meetai_bridge_leads", "1 in the replica that looks after the rooms.", registry=registry)

    def webhook_answered(self, event: str, outcome: str) -> None:
        """One webhook."""
        self._webhooks.labels(event, outcome).inc()

    def entries_accepted(self, outcome: str, entries: int) -> None:
        """Entries of the events stream."""
        self._entries.labels(outcome).inc(entries)

    def event_attempted(self, outcome: str, seconds: float) -> None:
        """One attempt at delivery."""
        self._attempts.labels(outcome).inc()
        self._send_seconds.labels(outcome).observe(seconds, current_exemplar())

    def event_delivered(self, source: str, seconds: float) -> None:
        """How long an event was on its way."""
        self._delivery_seconds.labels(source).observe(seconds, current_exemplar())

    def backlog_seen(self, backlog: Backlog) -> None:
        """How much there is to deliver."""
        self._undelivered.labels("pending").set(backlog.pending)
        self._undelivered.labels("dead").set(backlog.dead)
        self._oldest_pending_seconds.set(backlog.oldest_pending_seconds)

    def rooms_looked_at(self, live: int, missing: int) -> None:
        """What the last look found."""
        self._rooms.labels("live").set(live)
        self._rooms.labels("missing").set(missing)

    def room_mended(self, what: str) -> None:
        """Something that LiveKit didn't do by itself."""
        self._mended.labels(what).inc()

    def room_refused(self) -> None:
        """A look left a room out."""
        self._refused.inc()

    def agents_missing(self, waited_for: int, given_up: int) -> None:
        """Rooms with people that want an agent and have none."""
        self._agents_missing.labels("waited_for").set(waited_for)
        self._agents_missing.labels("given_up").set(given_up)

    def leads(self, is_leader: bool) -> None:
        """Whether this replica looks after the rooms."""
        self._leads.set(is_leader)
        if not is_leader:  # another one's figures count now
            self.rooms_looked_at(0, 0)
            self.agents_missing(0, 0)
