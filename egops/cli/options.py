"""Options that several commands share, each declared once. Every one is also `EGOPS_<NAME>`."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

import click

from egops.gather import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """`90`, `90s`, `5m`, `1h`, `250ms`: seconds as a float."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip()
        unit = next((unit for unit in UNITS if text.endswith(unit)), "")
        try:
            seconds = float(text.removesuffix(unit)) * UNITS.get(unit, 1.0)
        except ValueError:
            self.fail(f"{value!r} is no duration such as 90s, 5m or 1h", param, ctx)
        if seconds < 0:
            self.fail(f"{value!r} is negative", param, ctx)
        return seconds


DURATION = Duration()

PROMETHEUS_CREDENTIALS: tuple[Callable[..., Any], ...] = (
    click.option("--prometheus-token", metavar="TOKEN", default="", help="Its bearer token."),
    click.option(
        "--prometheus-user", metavar="USER:PASSWORD", default="", help="Or basic authentication."
    ),
    click.option("--prometheus-ca", metavar="FILE", default="", help="The CA of its certificate."),
    click.option(
        "--prometheus-header",
        "prometheus_headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Any other header, such as 'X-Scope-OrgID: team'.",
    ),
)
CONNECTION: tuple[Callable[..., Any], ...] = (
    click.option("--kubeconfig", metavar="FILE", default="", help="The kubeconfig file to use."),
    click.option("--context", metavar="NAME", default="", help="The kubeconfig context to use."),
    click.option("--as", "as_user", metavar="USER", default="", help="User to impersonate."),
    click.option(
        "--as-group", "as_groups", multiple=True, metavar="GROUP", help="Group to impersonate."
    ),
)
_SOURCE: tuple[Callable[..., Any], ...] = (
    click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        metavar="FILE",
        help="Manifests instead of a cluster: files, folders, globs, or - for standard input.",
    ),
    click.option(
        "--config-dump",
        "config_dumps",
        multiple=True,
        metavar="FILE",
        help="A saved Envoy config dump: plain, gzipped, or - for standard input.",
    ),
    click.option(
        "--admin",
        multiple=True,
        metavar="URL",
        help="The admin address of a running Envoy, such as http://127.0.0.1:19000.",
    ),
    *CONNECTION,
    click.option(
        "-n", "--namespace", metavar="NAME", default="", help="Only what concerns this namespace."
    ),
    click.option(
        "--request-timeout",
        type=DURATION,
        default="10s",
        show_default=True,
        help="Limit for each request.",
    ),
    click.option(
        "--timeout",
        type=DURATION,
        default="0",
        help="Limit for the whole command; what is known by then is judged, exit code 124.",
    ),
    click.option(
        "--via",
        type=click.Choice(["port-forward", "exec"]),
        default="port-forward",
        show_default=True,
        help="How to reach the admin port of a pod.",
    ),
    click.option(
        "--admin-port",
        type=click.IntRange(1, 65535),
        default=19000,
        show_default=True,
        help="Envoy's admin port inside the pod.",
    ),
    click.option(
        "--max-pods",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        help="Ask at most so many proxies of each fleet.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 64),
        default=8,
        show_default=True,
        help="Requests under way at once.",
    ),
    click.option(
        "--window",
        type=DURATION,
        default="10s",
        show_default=True,
        help="Time between the two reads of counters; 0 reads them once.",
    ),
    click.option(
        "--prometheus",
        metavar="URL",
        default="",
        help="A Prometheus, for checks that need history.",
    ),
    *PROMETHEUS_CREDENTIALS,
)


def _apply(options: tuple[Callable[..., Any], ...], function: Callable[..., Any]) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


_SOURCE_NAMES = (
    "files",
    "config_dumps",
    "admin",
    "kubeconfig",
    "context",
    "as_user",
    "as_groups",
    "namespace",
    "request_timeout",
    "timeout",
    "via",
    "admin_port",
    "max_pods",
    "concurrency",
    "window",
    "prometheus",
    "prometheus_token",
    "prometheus_user",
    "prometheus_ca",
    "prometheus_headers",
)


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options that say where to look, as one parameter `source`."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in _SOURCE_NAMES}
        strict = bool(kwargs.pop("strict", False))
        return function(*args, source=SourceOptions(strict=strict, **chosen), **kwargs)

    wrapped: Callable[..., Any] = _apply(_SOURCE, update_wrapper(collect, function))
    return wrapped


def output_option(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `-o/--output` with these formats, the first being the default."""
    return click.option(
        "-o",
        "--output",
        "output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


def severity_option(
    name: str, default: str, text: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option that takes a severity."""
    choices = ["error", "warning", "info", *(["never"] if name == "--fail-on" else [])]
    return click.option(
        name, type=click.Choice(choices), default=default, show_default=True, help=text
    )
