"""Our own spans: how long a command gathered, judged and rendered.

Nothing is loaded or sent unless the standard variables ask for it: `OTEL_EXPORTER_OTLP_ENDPOINT` or
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (OTLP over HTTP), and `OTEL_SDK_DISABLED` is not `true`. Spans
carry names and counts, never arguments, objects or answers.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from egops import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORT_SECONDS = 2  # a collector that is down must not keep anybody waiting


def is_wanted() -> bool:
    """Return whether the environment asks for spans."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and any(os.environ.get(name) for name in ENDPOINTS)


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[None]:
    """Time a step as the span `egops.<name>`; do nothing if nobody wants spans."""
    if not is_wanted():
        yield
        return
    with _tracer().start_as_current_span(f"egops.{name}", attributes=attributes):
        yield


@cache
def _tracer() -> Any:
    import atexit  # noqa: PLC0415 - only when spans are wanted

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "egops")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))

    def finish() -> None:
        provider.force_flush(EXPORT_SECONDS * 1000)
        provider.shutdown()

    atexit.register(finish)
    return provider.get_tracer("egops", __version__)
