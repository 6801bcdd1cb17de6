"""Spans for OpenTelemetry, where a deployment wants them; otherwise nothing is made and nothing is imported.

An export carries the trace of the request that pushed it, so that its delivery and its answer, in other processes and
perhaps days later, are in that request's trace.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Link, Tracer

_tracer: "Tracer | None" = None
_NOTHING: AbstractContextManager[None] = nullcontext()


def use(tracer: "Tracer | None") -> None:
    """From now on, in this process."""
    global _tracer  # noqa: PLW0603  # one per process, set at its start
    _tracer = tracer


def span(
    name: str, *, parents: Iterable[str] = (), attributes: Mapping[str, Any] | None = None
) -> AbstractContextManager[Any]:
    """A part of the trace at hand, or of its one parent's; of several it is a trace of its own that names them all.

    ``parents`` are what `here` gave elsewhere; empty ones are none.
    """
    if _tracer is None:
        return _NOTHING
    from opentelemetry import trace  # noqa: PLC0415  # only where it is used

    known = [parent for parent in dict.fromkeys(parents) if parent]
    options: dict[str, Any] = {"attributes": attributes or {}}
    if len(known) == 1:
        options["context"] = _context(known[0])
    elif known:
        options |= {"context": trace.set_span_in_context(trace.INVALID_SPAN), "links": _links(known)}
    return _tracer.start_as_current_span(name, **options)


def note(name: str, *, parent: str, since: float, attributes: Mapping[str, Any]) -> None:
    """A span that ends now and began at ``since``, in another trace than the one at hand, to which it points."""
    if _tracer is None or not parent:
        return
    began = time.time_ns() - round((time.monotonic() - since) * 1e9)
    done = _tracer.start_span(
        name, context=_context(parent), attributes=attributes, links=_links([here()]), start_time=began
    )
    done.end()


def here() -> str:
    """Return the current span as a W3C ``traceparent``; empty if tracing is off."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def _context(parent: str) -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    return TraceContextTextMapPropagator().extract({"traceparent": parent}, context=Context())


def _links(parents: Iterable[str]) -> "list[Link]":
    from opentelemetry import trace  # noqa: PLC0415

    found = [trace.get_current_span(_context(parent)).get_span_context() for parent in parents if parent]
    return [trace.Link(one) for one in found if one.is_valid]
