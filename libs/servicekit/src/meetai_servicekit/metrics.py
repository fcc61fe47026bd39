"""`/metrics`: what Prometheus scrapes. One registry an application, so that two in a process don't mix.

The metrics' names are a promise to dashboards and alerts: each is listed in `deploy/docs/metrics.md`, which a test holds against the code.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

HTTP_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped upstream; one more series for each label set, which nothing here asks for


def metrics_route(registry: CollectorRegistry) -> HTTPRouteHandler:
    """The route that writes out a registry: as OpenMetrics, with exemplars, for who accepts that; else in Prometheus' text format."""

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        write, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(write(registry), headers={"Content-Type": content_type})

    return metrics


class Requests:
    """`meetai_http_request_seconds`, by method, route template and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._histogram = Histogram(
            "meetai_http_request_seconds",
            "Time from the request's head to the response's last byte.",
            ("method", "route", "status"),
            registry=registry,
            buckets=HTTP_BUCKETS_SECONDS,
        )
        self._known: dict[tuple[str, str, int], Histogram] = {}

    def observe(
        self, method: str, route: str, status: int, seconds: float, exemplar: dict[str, str] | None = None
    ) -> None:
        """Count a request that was answered."""
        kind = (method, route, status)
        sample = self._known.get(kind)  # the histogram's own search for it takes longer than all the rest
        if sample is None:
            sample = self._known[kind] = self._histogram.labels(method, route, str(status))
        sample.observe(seconds, exemplar)


def readiness_gauge(registry: CollectorRegistry) -> Gauge:
    """`meetai_readiness`, by check and state; of a check's states one is 1."""
    return Gauge(
        "meetai_readiness",
        "What /readyz last found of each check: ok, unfit (it answers, and can't do its work) or away. 1 for the state it is in.",
        ("check", "state"),
        registry=registry,
    )
