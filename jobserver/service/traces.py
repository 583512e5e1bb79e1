"""Traces of requests by OpenTelemetry, sent by OTLP over HTTP. Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set.

A span for each request continues the caller's trace (W3C traceparent). Below it is a span for each step: the write with
its batch, decision, signature and sync, and each git process. A report names the traces that its jobs began in the
backend: each gets a span of the report, so that a job's trace goes on to where its status was recorded. Spans are made
when the request ends, from the times that were taken, and carry no names of people, queries or bodies.
"""

import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jobserver import logs, steps

_NAME = "traces"
_W3C = TraceContextTextMapPropagator()
_MAX_LINKS = 32  # traces of jobs that one report continues


def start(endpoint: str, version: str) -> None:
    """From now on the spans of requests are sent to ``endpoint``, in the background."""
    resource = Resource.create({"service.name": "jobserver", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    recorder = _Recorder(provider)
    steps.listeners[_NAME] = recorder.step_ended
    logs.listeners[_NAME] = recorder.request_ended


class _Recorder:
    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("jobserver")

    def step_ended(self, step: str, detail: str, seconds: float) -> None:
        if (request := logs.current()) is not None:
            ended = time.time_ns()
            request.steps.append((step, detail, ended - int(seconds * 1e9), ended))

    def request_ended(self, request: logs.Request) -> None:
        ended = time.time_ns()
        started = ended - int((time.perf_counter() - request.started) * 1e9)
        span = self._start(request, _context(request.traceparent), started, SpanKind.SERVER)
        below = set_span_in_context(span)
        for step, detail, step_started, step_ended in request.steps:
            attributes = {"jobserver.detail": detail} if detail else None
            self._tracer.start_span(step, below, start_time=step_started, attributes=attributes).end(step_ended)
        for traceparent in sorted(request.job_traces)[:_MAX_LINKS]:
            links = [Link(span.get_span_context())]
            self._start(request, _context(traceparent), started, SpanKind.CONSUMER, links).end(ended)
        span.end(ended)

    def _start(
        self, request: logs.Request, context: Context, started: int, kind: SpanKind, links: list[Link] | None = None
    ) -> Span:
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.response.status_code": request.status,
            "url.path": request.path,
            "jobserver.request_id": request.id,
        }
        if request.route:
            attributes["http.route"] = request.route
        name = f"{request.method} {request.route}".strip()
        span = self._tracer.start_span(name, context, kind, attributes, links, started)
        if request.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        return span


def _context(traceparent: str) -> Context:
    """An empty context for text that is no traceparent: the span then begins a trace."""
    return _W3C.extract({"traceparent": traceparent}, Context())
