"""A Litestar application with health, metrics, OpenAPI, problem+json and one log line a request in place.

Owns what the four HTTP APIs have in common; must not know any service's routes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, cast

import structlog
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Middleware, Receive, Scope, Send
from prometheus_client import CollectorRegistry

from meetai_servicekit.health import ReadinessCheck, health_routes
from meetai_servicekit.metrics import Requests, metrics_route, readiness_gauge
from meetai_servicekit.paths import keep_path_encoded
from meetai_servicekit.problems import EXCEPTION_HANDLERS
from meetai_servicekit.tracing import EXEMPLAR, NO_TRACING, TRACE_ID, Tracing

DEFAULT_MAX_BODY_BYTES: Final = 32 * 1024
QUIET_ROUTES: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by the platform: counted, not logged."""

_TOLD: Final = "meetai.told"

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

log = structlog.get_logger()


class HttpService(Litestar):
    """A Litestar application that routes on the encoded path and observes every request."""

    _requests: Requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]  # same call, wider scope type
        """Answer one request, with one metric sample and one canonical log line, its own or the one that `told` speaks of."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        keep_path_encoded(scope)
        started = time.perf_counter()
        status = 499  # nothing was sent: the client went away (nginx's convention)

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await super().__call__(scope, receive, observed_send)
        finally:
            self._observe(scope, status, time.perf_counter() - started)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "unmatched")
        method = str(scope.get("method"))
        trace_id = scope.get(TRACE_ID)
        self._requests.observe(method, route, status, seconds, scope.get(EXEMPLAR))  # type: ignore[arg-type]  # what `tracing` has put there
        if route not in QUIET_ROUTES and _TOLD not in scope:
            caller = getattr(scope.get("auth"), "name", None)
            traced = {"trace_id": trace_id} if trace_id else {}
            log.info(
                "request_served",
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                caller=caller,
                **traced,
            )


def told(scope: Scope) -> None:
    """Say that what has been logged of a request's outcome is its canonical line, so that it gets no other."""
    cast("dict[str, Any]", scope)[_TOLD] = True


def cross_origin(origins: Sequence[str], *, credentials: bool) -> CORSConfig | None:
    """CORS for pages of these origins (Fetch standard), who may send a bearer credential; None for no origin."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
        allow_credentials=credentials,
        expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy"],
    )


def create_http_service(
    *,
    title: str,
    routes: Sequence[ControllerRouterHandler],
    readiness: Mapping[str, ReadinessCheck],
    registry: CollectorRegistry,
    lifespan: Sequence[Lifespan] = (),
    middleware: Sequence[Middleware] = (),
    cors: CORSConfig | None = None,
    tracing: Tracing = NO_TRACING,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    dependencies: Mapping[str, Any] | None = None,
) -> HttpService:
    """Put a service's routes beside `/livez`, `/readyz`, `/metrics` and `/schema`.

    Args:
        title: The API's name in its OpenAPI document.
        routes: The service's own handlers.
        readiness: What `/readyz` asks, by name.
        registry: The metrics that `/metrics` writes.
        lifespan: Opened at start-up, closed in reverse.
        middleware: The service's own, outermost first.
        cors: Which web pages may call from a browser; none without it.
        tracing: Where a span for each request goes, but for those of the platform; closed at the very end.
        max_body_bytes: Larger bodies are answered 413 without being read whole.
        dependencies: Litestar providers for the routes.
    """

    @asynccontextmanager
    async def traced(_app: Litestar) -> AsyncGenerator[None]:
        yield
        await asyncio.to_thread(tracing.close)

    app = HttpService(
        route_handlers=[*routes, *health_routes(readiness, readiness_gauge(registry)), metrics_route(registry)],
        lifespan=[traced, *lifespan],
        middleware=[*tracing.http_middleware(QUIET_ROUTES), *middleware],
        cors_config=cors,
        dependencies=dict(dependencies or {}),
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=max_body_bytes,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title=title,
            version="1",
            path="/schema",
            render_plugins=[JsonRenderPlugin(path="/")],
            components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
        ),
    )
    app._requests = Requests(registry)  # noqa: SLF001 - its own class, in its own module
    return app
