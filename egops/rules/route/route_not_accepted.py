"""EGD-240 route-not-accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops import conditions
from egops.attachment import proxies_serving, reported_parents
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    NAMESPACE,
    OURS,
    TCP_ROUTE,
    TLS_ROUTE,
    UDP_ROUTE,
    Entry,
    ObjectRef,
    condition,
    our_parent_refs,
    our_routes,
    parent_refs,
)
from egops.listeners import Attempt, hostnames_of, parent_attempts
from egops.rules import rule
from egops.snapshot import Probe, SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGD-240",
    severity=Severity.ERROR,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE, NAMESPACE),
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="every route is accepted by the Gateways it names",
)
def route_not_accepted(snapshot: Snapshot) -> Iterator[Problem]:
    """A Gateway does not accept a route.

    ## Why it matters
    A parentRef with `Accepted=False` serves nothing: requests for the route's hosts get a 404, or
    the answer of another route. Each listener that the parentRef can mean is tested here as Envoy
    Gateway tests it: section, port, kind, namespace and hostname; the evidence says which failed.

    ## How to fix it
    Repair the test that failed: allow the route's namespace or kind in the listener's
    `allowedRoutes`, give the route a hostname that lies within the listener's, or correct the
    `sectionName` or `port` of the parentRef. If the listener itself is broken, repair that first.
    """
    for route in our_routes(snapshot):
        told = set()
        reported = reported_parents(route, snapshot)
        everywhere = all(conditions.failed(entry.body, "Accepted") for _, entry in reported)
        serving = proxies_serving(route, snapshot) if everywhere else []
        for parent, entry in reported:
            told.add(parent.entry.path)
            refused = conditions.failed(entry.body, "Accepted")
            if refused is None:
                yield from _partly(route, parent, entry, snapshot)
                continue
            attempts = list(parent_attempts(route, parent, snapshot))
            yield Problem(
                parent.entry.at(),
                f"{parent} does not accept the route: {refused.reason}"
                + (", yet it is still served" if serving else ""),
                evidence=(
                    conditions.told(refused),
                    *map(str, attempts),
                    *(f"proxy {name} has routes of it" for name in serving[:3]),
                ),
                why=refused.message,
                remedy=tuple(_remedy(route, parent, attempts, refused.message)),
                severity=Severity.WARNING
                if serving
                else conditions.severity(refused, route, Severity.ERROR),
                settled=refused.has_settled(route, snapshot),
                explains=("EGD-446", "EGD-447"),
                explains_refs=(str(route.ref),),
            )
        if snapshot.source.type is not SourceType.CLUSTER:
            yield from _recomputed(route, told, snapshot)


def _partly(
    route: Resource, parent: ObjectRef, entry: Entry, snapshot: Snapshot
) -> Iterator[Problem]:
    """Yield a parent that takes the route without some of its rules (1.4 on)."""
    found = condition(entry.body, "PartiallyInvalid")
    if found and found.is_true:
        yield Problem(
            parent.entry.at(),
            f"{parent} does not take some rules of the route: {found.reason}",
            evidence=(conditions.told(found),),
            why=found.message,
            remedy=(f"correct the rules that the condition names: {found.message}",),
            severity=conditions.severity(found, route, Severity.ERROR),
            settled=found.has_settled(route, snapshot),
        )


def _recomputed(
    route: Resource, told: set[tuple[str | int, ...]], snapshot: Snapshot
) -> Iterator[Problem]:
    """Yield the parents without status whose every listener refuses the route."""
    for parent in parent_refs(route):
        if parent.entry.path in told or parent.ref not in our_parent_refs(snapshot):
            continue
        attempts = list(parent_attempts(route, parent, snapshot))
        if not attempts or any(attempt.succeeds for attempt in attempts):
            continue
        if all(_is_elsewhere(attempt) for attempt in attempts):
            continue  # the section or port does not exist: parent-not-found says so
        yield Problem(
            parent.entry.at(),
            f"no listener of {parent} takes the route",
            evidence=tuple(map(str, attempts)),
            remedy=tuple(_remedy(route, parent, attempts, "")),
        )


def _is_elsewhere(attempt: Attempt) -> bool:
    return any(why.startswith(("sectionName:", "port:")) for why in attempt.failures)


def _remedy(
    route: Resource, parent: ObjectRef, attempts: list[Attempt], message: str
) -> Iterator[str]:
    near = [attempt for attempt in attempts if not _is_elsewhere(attempt)] or attempts
    for attempt in near:
        listener = attempt.listener
        for why in attempt.failures:
            match why.partition(":")[0]:
                case "namespace":
                    yield (
                        f"allow namespace {route.namespace} in allowedRoutes.namespaces of listener"
                        f" {listener.name} ({listener.owner.ref}): from All, or a selector"
                    )
                case "hostname":
                    yield (
                        f"give the route a hostname within {listener.hostname} (it has "
                        f"{', '.join(hostnames_of(route))}), or change listener {listener.name}"
                    )
                case "kind":
                    yield f"attach the {route.kind} to a listener that takes it ({why})"
                case _:
                    names = ", ".join(str(other.listener) for other in attempts)
                    yield f"point the parentRef at a listener of {parent}: {names}"
    if not any(attempt.failures for attempt in near):
        for attempt in near:
            for found in conditions.told_all(attempt.listener.status):
                yield f"repair listener {attempt.listener.name} first: {found}"
        yield (
            f"correct the route as the condition says: {message}"
            if message
            else (f"see the status of {parent}")
        )
