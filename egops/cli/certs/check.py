"""`egops certs check`: every certificate, who uses and renews it, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from egops.cli.options import source_options
from egops.cli.report import Steps, judge, report_options
from egops.errors import InputError

if TYPE_CHECKING:
    from egops.cli.report import ReportOptions
    from egops.finding import Report
    from egops.gather import SourceOptions
    from egops.render import Terminal
    from egops.snapshot import Snapshot

LENGTHS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(days=7)}


class Threshold(click.ParamType[timedelta | float]):
    """`30d`, `2w`, `36h`, or `33%` of the lifetime (a fraction)."""

    name = "threshold"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | float:
        """Return the time, or the share of the lifetime between 0 and 1."""
        if isinstance(value, (timedelta, float)):
            return value
        found = _threshold(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no time such as 30d, 2w, 36h, no share as 33%", param, ctx)
        return found


def _threshold(text: str) -> timedelta | float | None:
    try:
        number, unit = float(text[:-1]), text[-1:]
    except ValueError:
        return None
    if unit == "%" and 0 <= number <= 100:
        return number / 100
    return LENGTHS[unit] * number if unit in LENGTHS and 0 <= number < 1e6 else None


class Moment(click.ParamType[datetime]):
    """`2027-03-01`, or with a time: `2027-03-01T12:00:00+01:00`; UTC if it names no zone."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date such as 2027-03-01", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command()
@click.argument("servers", nargs=-1, metavar="[HOST:PORT]...")
@click.option(
    "--warn",
    type=Threshold(),
    default="30d",
    show_default=True,
    help="Warn so long before a certificate ends: 30d, 2w, 36h, or 33% of its lifetime.",
)
@click.option(
    "--critical",
    type=Threshold(),
    default="7d",
    show_default=True,
    help="Report an error so long before it ends.",
)
@click.option("--at", type=Moment(), metavar="DATE", help="Judge as if it were then: 2027-03-01.")
@click.option("--sni", metavar="NAME", default="", help="The name to ask a server for.")
@click.option(
    "--ca", metavar="FILE", default="", help="Verify servers against these CAs, not the system's."
)
@click.option(
    "--external", is_flag=True, help="Also ask the identity providers that SecurityPolicies name."
)
@click.option("--strict", is_flag=True, help="Believe what has not settled yet (minutes) too.")
@partial(report_options, more_formats=("prometheus",))
@source_options
@click.pass_context
def check(
    ctx: click.Context,
    /,
    source: SourceOptions,
    options: ReportOptions,
    servers: tuple[str, ...],
    external: bool,
    **asked: Any,
) -> None:
    """Show every certificate that Envoy Gateway lives on, and what is wrong with it.

    Looks at the Secrets of the control plane, what each Envoy Gateway, rate limit and Envoy pod
    really serves and holds, and the certificates of listeners, policies and Backends; or at any
    TLS server. No key is ever shown.

    \b
    egops certs check
    egops certs check --warn 33% --critical 10%
    egops certs check --at 2027-03-01            what will have ended by then
    egops certs check -f manifests/
    egops certs check --admin http://127.0.0.1:19000
    egops certs check shop.example.com:443 --sni www.example.com
    egops certs check -o prometheus > /var/lib/node_exporter/certs.prom
    """
    from egops.gatewayapi import SECURITY_POLICY
    from egops.inventory import READS
    from egops.rules.registry import certificate_rules, server_rules
    from egops.snapshot import Expiry

    if (asked["sni"] or asked["ca"]) and not (servers or external):
        raise InputError("--sni and --ca are for servers", hint="name one: shop.example.com:443")
    default = click.core.ParameterSource.DEFAULT
    chosen = any(ctx.get_parameter_source(name) is not default for name in ("warn", "critical"))
    expiry = Expiry(asked["warn"], asked["critical"], is_chosen=chosen)
    source = replace(
        source,
        servers=servers,
        server_name=asked["sni"],
        trust_file=asked["ca"],
        now=asked["at"],
    )
    given = source.files or source.config_dumps or source.admin
    rules = () if servers and not given else certificate_rules()
    if servers or external:
        rules = (*rules, *server_rules())

    def prepare(snapshot: Snapshot) -> Snapshot:
        snapshot = replace(snapshot, expiry=expiry)
        if at := asked["at"]:
            note = f"judged as if it were {at:%Y-%m-%d %H:%M} {at:%Z}"
            snapshot = replace(snapshot, notes=(*snapshot.notes, note))
        return with_external(snapshot, source) if external else snapshot

    also = (*READS, SECURITY_POLICY) if external else READS
    present = partial(show, namespace=source.namespace)
    judge("certs check", rules, source, options, Steps(also, prepare, present))


def with_external(snapshot: Snapshot, source: SourceOptions) -> Snapshot:
    """Return the snapshot with what the identity providers of its policies said."""
    from egops.gather.servers import parse_address, read_servers
    from egops.inventory import external

    addresses: dict[Any, list[str]] = {}
    for url, users in external(snapshot).items():
        known = addresses.setdefault(parse_address(url), [])
        known += [user for user in users if user not in known]
    servers, in_time = read_servers(
        addresses,
        seconds=source.request_timeout,
        concurrency=source.concurrency,
        trust_file=source.trust_file,
        timeout=source.timeout,
    )
    return replace(
        snapshot,
        servers=(*snapshot.servers, *servers),
        timed_out=snapshot.timed_out or not in_time,
    )


def show(
    report: Report,
    snapshot: Snapshot,
    options: ReportOptions,
    screen: Terminal,
    *,
    namespace: str = "",
) -> str:
    """Return inventory and findings in the format that was asked for; of one namespace, if any."""
    from egops.certificate_rows import rows
    from egops.render import inventory, renderer

    found, now = rows(snapshot), snapshot.taken_at
    if namespace:
        found = [row for row in found if row.namespace in ("", namespace)]
    if options.output == "prometheus":
        return inventory.prometheus(found, report)
    if options.output == "text":
        table = inventory.table(found, now, snapshot.expiry, screen)
        return f"{table}\n{renderer('text')(report, screen)}"
    if options.output == "name":
        return renderer("name")(report, screen)
    from egops.render.json import written

    return written(
        report, options.output, {"certificates": [inventory.plain(row, now) for row in found]}
    )
