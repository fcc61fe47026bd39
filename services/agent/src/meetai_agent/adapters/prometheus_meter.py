"""The jobs' and the worker's counts for Prometheus.

Jobs are processes of their own, so prometheus_client's multiprocess mode adds up what they count: each writes to a file in
one folder, which the worker reads when it is scraped. `__main__` names the folder before this is imported. What the worker
itself counts, the replays, has a registry and names of its own.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

CAPTION_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""A room in good health takes a caption in milliseconds; it is given up after 5 s."""
RECOGNITION_BUCKETS_SECONDS: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Of which 0.4 s is the silence that ends an utterance; p50 is 0.67 s with the offline model (FACTS, Speech without a key)."""


class CountingMeter:
    """`ports.Meter` by Prometheus counters whose names begin with `prefix`."""

    def __init__(self, prefix: str, registry: CollectorRegistry | None) -> None:
        def counter(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{prefix}_{name}", documentation, labels, registry=registry)

        self._lines = counter("lines", "Final lines numbered.")
        self._lines_lost = counter("lines_lost", "Lines that neither memory nor the spool could take.")
        self._batches = counter("batches", "Batches that the stream confirmed.", ("kind",))
        self._attempts_failed = counter("attempts_failed", "Attempts that the stream didn't confirm.")
        self._spool_failures = counter("spool_failures", "Lines that the spool couldn't take.")
        self._captions_dropped = counter("captions_dropped", "Captions that the room didn't take in time.")
        self._recogniser_failures = counter(
            "recogniser_failures", "Attempts of a recogniser that broke off.", ("name",)
        )
        self._unrecognised = counter("speech_unrecognised", "Utterances that no recogniser put into words.")

    def line_numbered(self) -> None:
        """Count it."""
        self._lines.inc()

    def line_lost(self) -> None:
        """Count it."""
        self._lines_lost.inc()

    def batch_sent(self, kind: str) -> None:
        """Count it."""
        self._batches.labels(kind).inc()

    def attempt_failed(self) -> None:
        """Count it."""
        self._attempts_failed.inc()

    def spool_failed(self) -> None:
        """Count it."""
        self._spool_failures.inc()

    def caption_dropped(self) -> None:
        """Count it."""
        self._captions_dropped.inc()

    def recogniser_failed(self, name: str) -> None:
        """Count it."""
        self._recogniser_failures.labels(name).inc()

    def speech_unrecognised(self) -> None:
        """Count it."""
        self._unrecognised.inc()


class JobMeter(CountingMeter):
    """`meetai_agent_*`: what this job's process counts; the worker adds it up."""

    def __init__(self) -> None:
        super().__init__("meetai_agent", None)
        self._questions = Counter("meetai_agent_questions", "Questions to the agent.", ("outcome",), registry=None)
        self._caption_seconds = Histogram(
            "meetai_agent_caption_seconds",
            "From the recogniser's final to the room having its caption, by channel; one that it didn't take counts as 5 s.",
            ("topic",),
            registry=None,
            buckets=CAPTION_BUCKETS_SECONDS,
        )
        self._recognition_seconds = Histogram(
            "meetai_agent_recognition_seconds",
            "From the end of a person's words to the recogniser's final.",
            registry=None,
            buckets=RECOGNITION_BUCKETS_SECONDS,
        )

    def question_ended(self, outcome: str) -> None:
        """Count it: `ports.QuestionMeter`."""
        self._questions.labels(outcome).inc()

    def caption_published(self, topic: str, seconds: float) -> None:
        """Count it: `ports.LatencyMeter`."""
        self._caption_seconds.labels(topic).observe(seconds)

    def speech_recognised(self, seconds: float) -> None:
        """Count it: `ports.LatencyMeter`."""
        self._recognition_seconds.observe(seconds)


class ReplayMeter(CountingMeter):
    """`meetai_agent_replay_*`: what the worker counts while it replays spools."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("meetai_agent_replay", registry)


class CountingDecisionMeter:
    """`ports.DecisionMeter` by Prometheus counters whose names begin with `prefix`."""

    def __init__(self, prefix: str, registry: CollectorRegistry | None) -> None:
        def counter(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{prefix}_{name}", documentation, labels, registry=registry)

        self._ended = counter("proposals", "Proposals that ended.", ("outcome",))
        self._told = counter("events_told", "Events that the stream confirmed.")
        self._failed = counter("events_attempts_failed", "Attempts that the stream didn't confirm.")
        self._outbox_failed = counter("outbox_failures", "Events that the outbox couldn't take.")

    def proposal_ended(self, outcome: str) -> None:
        """Count it."""
        self._ended.labels(outcome).inc()

    def event_told(self) -> None:
        """Count it."""
        self._told.inc()

    def telling_failed(self) -> None:
        """Count it."""
        self._failed.inc()

    def outbox_failed(self) -> None:
        """Count it."""
        self._outbox_failed.inc()


class JobDecisionMeter(CountingDecisionMeter):
    """`meetai_agent_*`: what this job's process counts; the worker adds it up."""

    def __init__(self) -> None:
        super().__init__("meetai_agent", None)


class RetellingMeter(CountingDecisionMeter):
    """`meetai_agent_replay_*`: what the worker counts while it tells what dead jobs left."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("meetai_agent_replay", registry)
