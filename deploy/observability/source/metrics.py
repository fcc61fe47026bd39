"""What the services measure, read off the collectors that they register: the list in `deploy/docs/metrics.md`, and a text for promtool.

`python -m deploy.observability.source.metrics` writes the list into that page, `--text` prints an example of every metric as Prometheus
would scrape it. A test holds the page against the code.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from meetai_agent.adapters.prometheus_meter import JobDecisionMeter, JobMeter, ReplayMeter, RetellingMeter
from meetai_agent.adapters.worker_gauges import Load, WorkerGauges
from meetai_agent.http import create_http
from meetai_servicekit.background import ProcessFate
from meetai_servicekit.http import HttpService
from meetai_servicekit.settings import load
from meetai_token import app as token_app
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest import app as ingest_app
from meetai_transcript_ingest.settings import IngestSettings
from meetai_webhook_bridge import app as bridge_app
from meetai_webhook_bridge.settings import BridgeSettings

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN: Final = "<!-- begin: written by `python -m deploy.observability.source.metrics` -->"
END: Final = "<!-- end -->"
ENVIRONMENT: Final = {
    "LIVEKIT_URL": "ws://livekit.example",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-of-at-least-thirty-two-characters",
    "SERVICE_KEYS": f"app:{'0' * 64}:transcripts:read",
    "DATABASE_URL": "postgresql://user:password@postgres.example/meetai",
    "REDIS_URL": "redis://redis.example",
    "INNGEST_DEV": "http://inngest.example",
}
"""Nothing is connected to: an application that isn't started has all its metrics."""


class Known(Struct, frozen=True, order=True):
    """One metric, by the name under which it is queried; a histogram without `_bucket`, `_sum` and `_count`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that its samples have."""
        return (
            tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
            if self.kind == "histogram"
            else (self.name,)
        )


def known_metrics() -> dict[str, list[Known]]:
    """The metrics of each service, by its name."""
    return {service: sorted(set(_known(collectors))) for service, collectors in _collectors().items()}


def example() -> str:
    """Every metric once, with a label set of nothing, in Prometheus' text format; those that services share once."""
    shown: dict[str, Any] = {}
    for collectors in _collectors().values():
        for collector in collectors:
            for metric in collector.collect():
                shown.setdefault(metric.name, collector)
    registry = CollectorRegistry()
    for collector in dict.fromkeys(shown.values()):
        if getattr(collector, "_labelnames", ()):
            collector.labels(*("x" for _ in collector._labelnames))  # noqa: SLF001 - there is no public way to ask
        registry.register(collector)
    return generate_latest(registry).decode()


def page(text: str) -> str:
    """The page with its list brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_list()}{END}{after}"


def _list() -> str:
    metrics = known_metrics()
    shared = set.intersection(*(set(each) for each in metrics.values()))
    sections = {"Every service": sorted(shared)} | {
        name: [m for m in each if m not in shared] for name, each in metrics.items()
    }
    lines = []
    for title, rows in sections.items():
        lines += ["", f"## {title}", "", "| metric | kind | labels | what it says |", "|---|---|---|---|"]
        lines += [f"| `{row.name}` | {row.kind} | {', '.join(row.labels)} | {row.about} |" for row in rows]
    return "\n".join([*lines, "", ""])


def _known(collectors: Iterable[Any]) -> Iterable[Known]:
    for collector in collectors:
        labels = tuple(getattr(collector, "_labelnames", ()))
        for metric in collector.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            yield Known(name, metric.type, labels, metric.documentation)


def applications() -> dict[str, HttpService]:
    """The services that have an API of their own, put together and not started."""
    return {name: app for name, (app, _) in _put_together().items()}


@cache
def _collectors() -> dict[str, list[Collector]]:
    return {name: collectors for name, (_, collectors) in _put_together().items()} | {"agent": _agent()}


@cache
def _put_together() -> dict[str, tuple[HttpService, list[Collector]]]:
    def token() -> HttpService:
        return token_app.create_app(load(TokenSettings, ENVIRONMENT))

    def bridge() -> HttpService:
        return bridge_app.create_app(load(BridgeSettings, ENVIRONMENT), ProcessFate())

    def ingest() -> HttpService:
        return ingest_app.create_app(load(IngestSettings, ENVIRONMENT), ProcessFate())[0]

    async def create() -> dict[str, tuple[HttpService, list[Collector]]]:  # in a loop, because pools want one
        return {
            "token": _registered(token_app, token),
            "webhook-bridge": _registered(bridge_app, bridge),
            "transcript-ingest": _registered(ingest_app, ingest),
        }

    return asyncio.run(create())


def _registered(app: Any, create: Callable[[], HttpService]) -> tuple[HttpService, list[Collector]]:
    """An application, and what it registers while it is put together."""
    registry = CollectorRegistry()
    with mock.patch.object(app, "CollectorRegistry", return_value=registry):
        service = create()
    return service, list(registry._collector_to_names)  # noqa: SLF001 - there is no public way to ask


def _agent() -> list[Collector]:
    """Those of the worker's registry, and those of the jobs, which have none: the worker adds up their files."""
    registry = CollectorRegistry()
    create_http(readiness={}, registry=registry, lifespan=[])
    ReplayMeter(registry)
    RetellingMeter(registry)
    registry.register(WorkerGauges(lambda: Load(0, 1, is_registered=True), Path("/nonexistent")))
    jobs = [*vars(JobMeter()).values(), *vars(JobDecisionMeter()).values()]
    return [*registry._collector_to_names, *jobs]  # noqa: SLF001 - there is no public way to ask


if __name__ == "__main__":
    if sys.argv[1:] == ["--text"]:
        sys.stdout.write(example())
    else:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
