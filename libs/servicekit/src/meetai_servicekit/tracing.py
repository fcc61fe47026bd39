"""Traces: who waited for what, across processes, as OpenTelemetry has them (ADR 0028).

Owns where spans go and what may be in them: ids and counts, never text, names, addresses or queries. The provider is handed on and
never made the process's own, because libraries that find one there (livekit-agents) would put what was said into spans of theirs.
Without an endpoint nothing of the SDK is imported and a span costs next to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracerProvider, Span, SpanContext, SpanKind, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

if TYPE_CHECKING:  # most that trace have no HTTP server
    from litestar.types import ASGIApp, Middleware, Receive, Scope, Send
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

TRACER: Final = "meetai"
TRACEPARENT: Final = "traceparent"
"""The header's name (W3C Trace Context), and the field's in a stream entry."""
MAX_TRACEPARENT_BYTES: Final = 55
"""Version 00 has exactly so many."""
MAX_LINKS: Final = 128
"""The SDK's own limit; a set of a thousand entries has more."""

EXPORT_SECONDS: Final = 5.0
"""For one request to the collector. Spans wait meanwhile, 2,048 of them at most (the SDK's own bound); more are dropped."""
CLOSE_SECONDS: Final = 3.0
"""At the end, for the last spans: within the 30 s that a pod is given."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_SHOWN_HEADERS: Final = frozenset({b"traceparent", b"tracestate"})
_WHOLE: Final = "meetai.scope"
TRACE_ID: Final = "meetai.trace_id"
"""Where a request's trace is in its ASGI scope."""
EXEMPLAR: Final = "meetai.exemplar"
"""And what its histogram's sample is to carry."""


class Tracing:
    """Where this process's spans go: to a collector, or nowhere."""

    def __init__(self, provider: SdkTracerProvider | None = None) -> None:
        self._sdk = provider
        self.provider: TracerProvider = provider or NoOpTracerProvider()
        self.tracer: Tracer = self.provider.get_tracer(TRACER)

    def http_middleware(self, quiet_routes: frozenset[str]) -> list[Middleware]:
        """A server span around requests, by litestar's own middleware, but for some routes; none where spans go nowhere."""
        if self._sdk is None:
            return []
        from litestar.plugins.opentelemetry import (  # noqa: PLC0415 - what isn't used isn't imported
            OpenTelemetryConfig,
            OpenTelemetryInstrumentationMiddleware,
        )

        config = OpenTelemetryConfig(
            tracer_provider=self.provider, scope_span_details_extractor=_route, exclude_spans=["receive", "send"]
        )

        def around(app: ASGIApp) -> ASGIApp:
            async def with_whole_scope(scope: Scope, receive: Receive, send: Send) -> None:
                whole = cast("dict[str, Any]", scope)[_WHOLE]
                whole[TRACE_ID] = current_trace_id()  # for the request's log line
                whole[EXEMPLAR] = current_exemplar()
                await app(whole, receive, send)

            observed = OpenTelemetryInstrumentationMiddleware(with_whole_scope, config).open_telemetry_middleware

            async def traced(scope: Scope, receive: Receive, send: Send) -> None:
                if scope.get("path_template") in quiet_routes:
                    await app(scope, receive, send)
                    return
                await observed(_shown(scope), receive, send)  # type: ignore[arg-type]  # asgiref's own names of the same

            return traced

        return [around]

    def close(self) -> None:
        """Send what is waiting, within `CLOSE_SECONDS`; nothing is recorded after. Blocks: call it in a thread."""
        if self._sdk is not None:
            # The SDK's own end takes 14 s while the collector is away: nobody's shutdown waits for that.
            closing = threading.Thread(target=self._sdk.shutdown, name="close tracing", daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS)


NO_TRACING: Final = Tracing()


def start_tracing(service: str, endpoint: str | None) -> Tracing:
    """Send spans to an OTLP/HTTP collector, `endpoint` being its base URL; nowhere without one."""
    if endpoint is None:
        return Tracing()
    # Some 60 modules, which nobody who doesn't trace has to pay for.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = SdkTracerProvider(resource=Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def current_traceparent() -> str | None:
    """What carries the running span on to another process; None outside one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACEPARENT)


def current_trace_id() -> str | None:
    """The running span's trace, as backends show it; None outside one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def current_exemplar() -> dict[str, str] | None:
    """What leads from a histogram's bucket to the running span's trace (OpenMetrics, Exemplars); None where that isn't kept."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return {"trace_id": trace.format_trace_id(context.trace_id)}


def current_sender() -> SpanContext | None:
    """The running span, for a span that goes on with it later; None outside one."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


@contextmanager
def gathering_span(
    tracer: Tracer, name: str, senders: Sequence[SpanContext], attributes: dict[str, AttributeValue]
) -> Iterator[Span]:
    """A span that sends on what several others have brought: it goes on with the first one's trace, and is linked to each."""
    parent = trace.set_span_in_context(trace.NonRecordingSpan(senders[0]), Context()) if senders else Context()
    links = [Link(sender) for sender in senders[:MAX_LINKS]]
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=SpanKind.PRODUCER,
        links=links,
        attributes=attributes,
        record_exception=False,  # its message may quote data
        set_status_on_exception=False,
    ) as span:
        yield span


@contextmanager
def consuming_span(
    tracer: Tracer,
    name: str,
    carried: Sequence[bytes],
    attributes: dict[str, AttributeValue],
    *,
    kind: SpanKind = SpanKind.CONSUMER,
) -> Iterator[Span]:
    """A span for work on what several others have sent: it goes on with their trace where that is one, and is linked to each.

    Args:
        tracer: Whose span.
        name: Of the span.
        carried: The `traceparent` that came with each; one that is malformed is ignored.
        attributes: Ids and counts.
        kind: OpenTelemetry's.
    """
    known = [sender for raw in dict.fromkeys(carried) if (sender := _sender(raw)) is not None]
    traces = {sender.trace_id for sender in known}
    parent: Context = trace.set_span_in_context(trace.NonRecordingSpan(known[0])) if len(traces) == 1 else Context()
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        links=[Link(sender) for sender in known[:MAX_LINKS]],
        attributes=attributes,
        record_exception=False,  # its message may quote data
        set_status_on_exception=False,
    ) as span:
        yield span


def _sender(raw: bytes) -> SpanContext | None:
    if len(raw) != MAX_TRACEPARENT_BYTES or not raw.isascii():
        return None
    context = trace.get_current_span(_PROPAGATOR.extract({TRACEPARENT: raw.decode()}, Context())).get_span_context()
    return context if context.is_valid else None


def _route(scope: Scope) -> tuple[str, dict[str, str]]:
    route = str(scope.get("path"))
    return f"{scope.get('method')} {route}", {"http.route": route}


def _shown(scope: Scope) -> Scope:
    """All that a span is made of: the route instead of the path, neither query nor address, of the headers those of the trace."""
    shown = {
        "type": scope["type"],
        "method": scope.get("method"),
        "scheme": scope.get("scheme"),
        "http_version": scope.get("http_version"),
        "path": str(scope.get("path_template") or "unmatched"),
        "headers": [header for header in scope["headers"] if header[0] in _SHOWN_HEADERS],
        _WHOLE: scope,
    }
    return cast("Scope", shown)
