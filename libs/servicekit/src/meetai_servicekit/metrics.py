"""`/metrics`: what Prometheus scrapes. One registry an application, so that two in a process don't mix."""

from __future__ import annotations

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

HTTP_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def metrics_route(registry: CollectorRegistry) -> HTTPRouteHandler:
    """The route that writes out a registry in Prometheus' text format."""

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return metrics


def http_histogram(registry: CollectorRegistry) -> Histogram:
    """`meetai_http_request_seconds`, by method, route template and status."""
    return Histogram(
        "meetai_http_request_seconds",
        "Time from the request's head to the response's last byte.",
        ("method", "route", "status"),
        registry=registry,
        buckets=HTTP_BUCKETS_SECONDS,
    )
