"""OpenTelemetry at the site's edges, where TRACING is on: how spans leave, and a span around each request.

Where they go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import re
from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from orderflow import tracing

SERVICE = "orderflow"
# Routes of the API's routers are regular expressions.
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def start() -> None:
    """Once per process. Raises `ImproperlyConfigured` where the extra is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as missing:
        raise ImproperlyConfigured(
            f"TRACING is on, and {missing.name} is not installed. Install the extra: "
            "pip install 'orderflow-erp-dropzone[tracing]'."
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.use(provider.get_tracer(SERVICE))


class Middleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        parents = [request.headers.get("traceparent", "")]
        with tracing.span(f"HTTP {request.method}", parents=parents) as span:
            response = self.get_response(request)
            if span is not None:
                route = _NAMED_GROUP.sub(r"<\1>", getattr(request.resolver_match, "route", "")).rstrip("$")
                span.update_name(f"HTTP {request.method} /{route}")
                span.set_attributes(
                    {"http.route": f"/{route}", "http.response.status_code": response.status_code}
                )
        return response
