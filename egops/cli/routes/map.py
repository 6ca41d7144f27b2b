"""`egops routes map`: every Envoy route with the rule that made it, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from egops.cli.inspect.resources import route_filter
from egops.cli.listing import (
    OUTPUTS,
    filter_options,
    finish,
    look,
    note_missing_routes,
    parse_object,
    show,
)
from egops.cli.options import output_option, source_options
from egops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from egops.cli.listing import Filters, ObjectSpec
    from egops.gather import SourceOptions
    from egops.routejoin import RuleState
    from egops.snapshot import Kind, Proxy, Snapshot
    from egops.xds.owners import Owner
    from egops.xds.routemap import RouteRow


@click.command("map")
@click.option(
    "--from",
    "made_by",
    metavar="KIND/NS/NAME[/RULE]",
    help="Only what this object (or rule) made, with its clusters and endpoints.",
)
@click.option("--envoy-route", metavar="NAME", help="Only the Envoy route of this name; a glob.")
@filter_options("proxy", "port", "host", "path_prefix", "cluster")
@output_option(*OUTPUTS)
@source_options
def map_(
    source: SourceOptions,
    filters: Filters,
    made_by: str | None,
    envoy_route: str | None,
    output: str,
) -> None:
    """Map every Envoy route to the HTTPRoute rule that made it, and back.

    With the objects at hand (a cluster, or -f) it tells where each rule is written, which proxies
    have it, and where a rule got lost on its way from the API over Envoy Gateway into Envoy.

    \b
    egops routes map
    egops routes map --from HTTPRoute/shop/cart/0
    egops routes map --envoy-route 'httproute/shop/cart/rule/0/match/0/*'
    egops routes map --cluster httproute/shop/cart/rule/0
    egops routes map --config-dump dump.json -f manifests/ -o json
    """
    spec = parse_object(made_by) if made_by else None
    kinds = _kinds() if source.files or source.is_cluster else frozenset()
    snapshot, proxies = look(source, (), kinds, proxy=filters.proxy)
    note_missing_routes(proxies)
    has_objects = any(snapshot.resources.values())
    rows = _rows(snapshot, proxies, has_objects=has_objects)
    for wanted in (route_filter(filters), _made_by(spec), _named(envoy_route)):
        if wanted is not None:
            rows = filter(wanted, rows)
    narrow = bool(spec or envoy_route or filters.cluster)
    if narrow and not (rows := list(rows)):
        _none(snapshot, proxies, spec, envoy_route, filters.cluster)
    states = [] if not has_objects or (narrow and not spec) else _states(snapshot, proxies, spec)
    _show(rows, proxies, states, spec, output)
    finish(snapshot, proxies)


def _rows(
    snapshot: Snapshot, proxies: tuple[Proxy, ...], *, has_objects: bool
) -> Iterable[RouteRow]:
    from egops.xds.routemap import merged_rows, route_rows

    rows = (
        route_rows(proxies[0].config)
        if len(proxies) == 1
        else merged_rows((proxy.name, proxy.config) for proxy in proxies)
    )
    if not has_objects:
        return rows
    from egops.routejoin import Joiner

    return Joiner(snapshot).join(rows)


def _kinds() -> frozenset[Kind]:
    from egops import gatewayapi as api

    return frozenset(
        {
            *api.ROUTE_KINDS,
            *api.EG_POLICY_KINDS,
            api.GATEWAY,
            api.GATEWAY_CLASS,
            api.LISTENER_SET,
            api.X_LISTENER_SET,
            api.HTTP_ROUTE_FILTER,
            api.DEPLOYMENT,
            api.ENVOY_GATEWAY,
        }
    )


def _made_by(spec: ObjectSpec | None) -> Callable[[RouteRow], bool] | None:
    if spec is None:
        return None

    def wanted(row: RouteRow) -> bool:
        source = row.source
        return source is not None and spec.covers(
            source.kind, source.namespace, source.name, source.rule
        )

    return wanted


def _named(name: str | None) -> Callable[[RouteRow], bool] | None:
    from fnmatch import translate
    from re import compile as compile_

    if name is None:
        return None
    # a route's name ends in `*` for every host: the name itself always counts
    glob = compile_(translate(name)).fullmatch
    return lambda row: row.envoy.route == name or glob(row.envoy.route) is not None


def _states(
    snapshot: Snapshot,
    proxies: tuple[Proxy, ...],
    spec: ObjectSpec | None,
) -> list[RuleState]:
    from egops.routejoin import rule_states

    return [
        state
        for state in rule_states(snapshot, proxies)
        if spec is None or spec.covers(state.kind, state.namespace, state.name, state.rule)
    ]


def _none(
    snapshot: Snapshot,
    proxies: tuple[Proxy, ...],
    spec: ObjectSpec | None,
    route: str | None,
    cluster: str,
) -> None:
    """Say that nothing is there, with the nearest names; an object that is known is shown."""
    from difflib import get_close_matches

    from egops.gatewayapi import ROUTE_KINDS
    from egops.xds.routemap import route_rows

    if spec is not None:
        known = (resource for kind in ROUTE_KINDS for resource in snapshot.all(kind))
        if any(spec.covers(r.kind.name, r.namespace, r.name, spec.rule) for r in known):
            return
    rows = [row for proxy in proxies for row in route_rows(proxy.config)]
    if spec is not None:
        text = f"{spec.kind or 'HTTPRoute'}/{spec.namespace}/{spec.name}"
        names = {str(row.source).rpartition("/")[0] for row in rows if row.source}
        what = f"no Envoy route comes from {text}"
    elif route is not None:
        text, names = route, {row.envoy.route for row in rows}
        what = f"no Envoy route is named {route}"
    else:
        if _is_cluster(proxies, cluster):
            return
        text = cluster
        names = {entry.cluster.name for proxy in proxies for entry in proxy.config.clusters}
        what = f"there is no cluster {cluster}"
    near = get_close_matches(text, sorted(names), 3, 0.5)
    raise InputError(what, hint=f"did you mean {' or '.join(near)}" if near else "")


def _is_cluster(proxies: tuple[Proxy, ...], pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return any(
        fnmatchcase(entry.cluster.name, pattern)
        for proxy in proxies
        for entry in proxy.config.clusters
    )


# ------------------------------------------------------------------ showing


def _show(
    rows: Iterable[RouteRow],
    proxies: tuple[Proxy, ...],
    states: list[RuleState],
    spec: ObjectSpec | None,
    output: str,
) -> None:
    from egops.xds.routemap import RouteRow

    more: dict[str, Any] = {}
    if spec is not None:
        more["clusters"], more["endpoints"] = _behind(proxies, spec)
    if states:
        more["rules"] = states
    column = _holders(len(proxies)) if len(proxies) > 1 else None
    show("routes", RouteRow, rows, output, name=lambda row: row.envoy.route, proxy=column, **more)
    if output in ("table", "wide"):
        _show_behind(more, output)
        for state in states:
            if state.lost_at or state.missing:
                _tell(state)


def _holders(total: int) -> Callable[[Any], str]:
    def text(row: Any) -> str:
        held = row.proxies
        return held[0] if len(held) == 1 else f"{len(held)} of {total}"

    return text


def _show_behind(more: dict[str, Any], output: str) -> None:
    if "clusters" not in more:
        return
    from egops.xds.view.clusters import ClusterRow, EndpointRow

    for what, kind in (("clusters", ClusterRow), ("endpoints", EndpointRow)):
        if more.get(what):
            click.echo()
            show(what, kind, more[what], output)


def _tell(state: RuleState) -> None:
    where = f" ({state.written})" if str(state.written) else ""
    click.echo(f"\nlost at {state.lost_at}: {state}{where}\n  {state.reason}")


def _behind(proxies: tuple[Proxy, ...], spec: ObjectSpec) -> tuple[list[Any], list[Any]]:
    """Return the clusters and endpoints that an object made."""
    from egops.xds.view.clusters import cluster_rows, endpoint_rows

    def owned(owner: Owner | None) -> bool:
        return owner is not None and spec.covers(
            owner.kind, owner.namespace, owner.name, owner.rule
        )

    def of_all(rows: Callable[..., Iterator[Any]]) -> list[Any]:
        return [
            row
            for proxy in proxies
            for row in rows(proxy.config, None, proxy.name)
            if owned(row.owner)
        ]

    return of_all(cluster_rows), of_all(endpoint_rows)
