"""`egops inspect proxies | listeners | routes | clusters | endpoints | secrets | filters`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from egops.cli.listing import OUTPUTS, filter_options, finish, look, note_missing_routes, show
from egops.cli.options import output_option, source_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from egops.cli.listing import Filters
    from egops.gather import SourceOptions
    from egops.snapshot import Proxy, Snapshot
    from egops.xds.owners import Owner
    from egops.xds.routemap import RouteRow
    from egops.xds.view.filters import FilterRow
    from egops.xds.view.listeners import ListenerRow


def _list(  # one listing is all of these
    what: str,
    kind: Any,
    seen: tuple[Snapshot, Sequence[Proxy]],
    rows: Iterable[Any],
    output: str,
    **options: Any,
) -> None:
    column: Callable[[Any], str] | None = (lambda row: row.proxy) if len(seen[1]) > 1 else None
    show(what, kind, rows, output, proxy=column, **options)
    finish(*seen)


@click.command()
@filter_options("proxy")
@output_option(*OUTPUTS)
@source_options
def proxies(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the Envoy proxies: fleet, versions, how much each holds, what is not in use.

    EG is the earliest Envoy Gateway release that can have made the configuration.

    \b
    egops inspect proxies
    egops inspect proxies -o wide                 with the Gateways they serve
    egops inspect proxies --admin http://127.0.0.1:19000
    """
    from egops.snapshot import Probe
    from egops.xds.view.proxies import ProxyRow, proxy_row

    snapshot, found = look(source, {Probe.SERVER_INFO}, proxy=filters.proxy)
    rows = [
        proxy_row(
            proxy.name,
            proxy.fleet,
            proxy.config,
            proxy.server_info if proxy.has(Probe.SERVER_INFO) else None,
        )
        for proxy in found
    ]
    show("proxies", ProxyRow, rows, output)
    finish(snapshot, found)


@click.command()
@filter_options("proxy", "port", "host", "warming")
@output_option(*OUTPUTS)
@source_options
def listeners(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the listeners in each state: active, warming, draining, rejected.

    \b
    egops inspect listeners
    egops inspect listeners --warming -o wide     with the reason of a rejection
    """
    from egops.xds.view.listeners import ListenerRow, listener_rows

    def wanted(row: ListenerRow) -> bool:
        ports = (row.port, row.gateway_port)
        names = [name for chain in row.chains for name in chain.server_names] or ["*"]
        return (
            (not filters.port or filters.port in ports)
            and filters.wants_host(names)
            and (not filters.warming or row.state in ("warming", "rejected"))
        )

    snapshot, found = look(source, (), proxy=filters.proxy)
    rows = (row for proxy in found for row in listener_rows(proxy.config, proxy.name))
    _list("listeners", ListenerRow, (snapshot, found), filter(wanted, rows), output)


@click.command()
@filter_options("proxy", "port", "host", "path_prefix", "route", "cluster")
@output_option(*OUTPUTS)
@source_options
def routes(source: SourceOptions, filters: Filters, output: str) -> None:
    """List every Envoy route in the order Envoy tries them, with the rule that made it.

    \b
    egops inspect routes --host shop.example.com
    egops inspect routes --route shop/cart -o json
    """
    from egops.xds.routemap import RouteRow, route_rows

    snapshot, found = look(source, (), proxy=filters.proxy)
    note_missing_routes(found)
    rows = (row for proxy in found for row in route_rows(proxy.config, proxy.name))
    chosen = filter(route_filter(filters), rows)
    _list("routes", RouteRow, (snapshot, found), chosen, output, name=lambda row: row.envoy.route)


def route_filter(filters: Filters) -> Callable[[RouteRow], bool] | None:
    """Return whether a route is wanted, as a function; None if all are."""
    from egops.cli.listing import Filters as Nothing
    from egops.xds.topology import gateway_port

    if filters == Nothing(proxy=filters.proxy):
        return None

    def wanted(row: RouteRow) -> bool:
        places = row.envoy.listeners
        if filters.port and not any(
            filters.port in (place.port, gateway_port(place)) for place in places
        ):
            return False
        if filters.path_prefix:
            path = row.match.path
            if path is None or not path.value.startswith(filters.path_prefix):
                return False
        source = row.source
        if filters.route and (
            source is None
            or not filters.wants_route(source.kind, source.namespace, source.name, source.rule)
        ):
            return False
        targets = (*row.action.clusters, *row.action.mirrors)
        return filters.wants_host(row.envoy.domains) and filters.wants_cluster(
            target.name for target in targets
        )

    return wanted


def _owned(filters: Filters, owner: Owner | None) -> bool:
    if not filters.route:
        return True
    return owner is not None and filters.wants_route(
        owner.kind, owner.namespace, owner.name, owner.rule
    )


@click.command()
@filter_options("proxy", "route", "cluster", "warming", "unhealthy")
@output_option(*OUTPUTS)
@source_options
def clusters(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the clusters: healthy endpoints of all, and the rule, policy or backend behind each.

    \b
    egops inspect clusters --unhealthy
    egops inspect clusters --route shop/cart/0
    """
    from egops.snapshot import Probe
    from egops.xds.view.clusters import ClusterRow, cluster_rows

    def wanted(row: ClusterRow) -> bool:
        return (
            filters.wants_cluster((row.name,))
            and _owned(filters, row.owner)
            and (not filters.warming or row.state == "warming")
            and (not filters.unhealthy or row.healthy == 0 or row.healthy != row.endpoints)
        )

    snapshot, found = look(source, {Probe.CLUSTERS}, proxy=filters.proxy)
    rows = (
        row
        for proxy in found
        for row in cluster_rows(
            proxy.config, proxy.clusters if proxy.has(Probe.CLUSTERS) else None, proxy.name
        )
    )
    _list("clusters", ClusterRow, (snapshot, found), filter(wanted, rows), output)


@click.command()
@filter_options("proxy", "route", "cluster", "unhealthy")
@output_option(*OUTPUTS)
@source_options
def endpoints(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the endpoints of each cluster, their health, and the backendRef they come from.

    \b
    egops inspect endpoints --unhealthy -o wide   with the reason
    egops inspect endpoints --route shop/cart/0
    """
    from egops.snapshot import Probe
    from egops.xds.view.clusters import EndpointRow, endpoint_rows

    def wanted(row: EndpointRow) -> bool:
        return (
            filters.wants_cluster((row.cluster,))
            and _owned(filters, row.owner)
            and (not filters.unhealthy or not row.is_healthy)
        )

    snapshot, found = look(source, {Probe.CLUSTERS}, proxy=filters.proxy)
    rows = (
        row
        for proxy in found
        for row in endpoint_rows(
            proxy.config, proxy.clusters if proxy.has(Probe.CLUSTERS) else None, proxy.name
        )
    )
    for proxy in found:
        if not (proxy.config.has_endpoints or proxy.has(Probe.CLUSTERS)):
            note = "the dump has no endpoints of EDS; save it with /config_dump?include_eds"
            click.echo(f"note: {proxy.name}: {note}", err=True)
    seen = (snapshot, found)
    _list("endpoints", EndpointRow, seen, filter(wanted, rows), output, name=_address)


def _address(row: Any) -> str:
    return str(row.address)


@click.command()
@filter_options("proxy", "warming")
@output_option(*OUTPUTS)
@source_options
def secrets(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the secrets: subject, names and dates of certificates; never a key.

    \b
    egops inspect secrets -o wide                 with alternative names and issuers
    egops inspect secrets --warming               what listeners and clusters wait for
    """
    from egops.xds.view.secrets import SecretRow, secret_rows

    def wanted(row: SecretRow) -> bool:
        return not filters.warming or row.state == "warming"

    snapshot, found = look(source, (), proxy=filters.proxy)
    rows = (row for proxy in found for row in secret_rows(proxy.config, proxy.name))
    _list("secrets", SecretRow, (snapshot, found), filter(wanted, rows), output)


@click.command()
@filter_options("proxy", "port")
@output_option(*OUTPUTS)
@source_options
def filters(source: SourceOptions, filters: Filters, output: str) -> None:
    """List the HTTP filters of each filter chain in the order Envoy runs them.

    ROUTES counts the routes that switch a filter on or configure it; `all` means that it always
    acts. The owner is what the filter's name tells.

    \b
    egops inspect filters --port 443
    """
    from egops.xds.view.filters import FilterRow, filter_rows

    def wanted(row: FilterRow) -> bool:
        return not filters.port or filters.port in (row.port, row.gateway_port)

    def rows() -> Iterator[FilterRow]:
        for proxy in found:
            yield from filter_rows(proxy.config, proxy.name)

    snapshot, found = look(source, (), proxy=filters.proxy)
    _list("filters", FilterRow, (snapshot, found), filter(wanted, rows()), output)
