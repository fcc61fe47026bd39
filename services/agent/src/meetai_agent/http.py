"""The worker's HTTP side: health, readiness, metrics, OpenAPI. It has no routes of its own yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from meetai_servicekit.health import ReadinessCheck
from meetai_servicekit.http import HttpService, Lifespan, create_http_service
from meetai_servicekit.tracing import NO_TRACING, Tracing


def create_http(
    *,
    readiness: Mapping[str, ReadinessCheck],
    registry: CollectorRegistry,
    lifespan: Sequence[Lifespan],
    tracing: Tracing = NO_TRACING,
) -> HttpService:
    """The application that answers the platform's questions while the worker works."""
    return create_http_service(
        title="MeetAI agent",
        routes=[],
        readiness=readiness,
        registry=registry,
        lifespan=lifespan,
        tracing=tracing,
    )
