"""EGD-251 https-redirect-loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.attachment import serving_listeners
from egops.finding import Confidence, Problem, Severity
from egops.gatewayapi import (
    GATEWAY,
    HTTP_ROUTE,
    NAMESPACE,
    OURS,
    SERVICE,
    Entry,
    fleet_key,
    is_proxy,
    is_young,
    our_routes,
    per_snapshot,
    rules_of,
)
from egops.listeners import Listener, hosts_on
from egops.rules import rule
from egops.snapshot import items, number, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

# annotations by which load balancers are told to end TLS themselves
TLS_ANNOTATIONS = ("ssl-cert", "ssl-ports", "backend-config", "certificate-id", "tls-ports")


@rule(
    code="EGD-251",
    severity=Severity.WARNING,
    reads=(HTTP_ROUTE, GATEWAY),
    optional=(*OURS, NAMESPACE, SERVICE),
    since="0.1",
    ok="no redirect to https applies to requests that came over https",
)
def https_redirect_loop(snapshot: Snapshot) -> Iterator[Problem]:
    """A redirect to https also applies to requests that already came over https.

    ## Why it matters
    The rule changes nothing but the scheme, and its route is attached to an HTTPS listener too:
    browsers are redirected to the address they are at until they give up. The same happens if TLS
    ends at the load balancer and Envoy only ever sees plain HTTP.

    ## How to fix it
    Give the redirect a route of its own whose parentRef names the HTTP listener by `sectionName`.
    If TLS ends at the load balancer, let the load balancer redirect, or match the header
    `x-forwarded-proto: http`.
    """
    for route in our_routes(snapshot, HTTP_ROUTE):
        redirects = [(entry, found) for _, entry in rules_of(route) for found in _redirects(entry)]
        if not redirects:
            continue
        listeners = serving_listeners(route, snapshot)
        for entry, (index, redirect) in redirects:
            if problem := _problem(route, entry, index, redirect, listeners, snapshot):
                yield problem


def _redirects(rule_entry: Entry) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the redirects of a rule that change nothing but the scheme."""
    headers = [h for _, m in items(rule_entry.body, "matches") for _, h in items(m, "headers")]
    if any(text(header, "name").lower() == "x-forwarded-proto" for header in headers):
        return
    for index, entry in items(rule_entry.body, "filters"):
        redirect = section(entry, "requestRedirect")
        if text(redirect, "scheme") != "https" or section(redirect, "path"):
            continue
        yield index, redirect


def _problem(
    route: Resource,
    entry: Entry,
    index: int,
    redirect: Mapping[str, Any],
    listeners: list[Listener],
    snapshot: Snapshot,
) -> Problem | None:
    host, port = text(redirect, "hostname").lower(), number(redirect, "port")
    hit = [
        listener
        for listener in listeners
        if listener.protocol == "HTTPS"
        and (not host or host in hosts_on(route, listener))
        and (not port or port == listener.port)
    ]
    if port == 0:
        hit = [listener for listener in hit if listener.port == 443 or len(hit) == 1]
    at = entry.at("filters", index)
    settled = not is_young(route, snapshot)
    if hit:
        names = ", ".join(map(str, hit))
        plain = next((str(x.name) for x in listeners if x.protocol == "HTTP"), "")
        return Problem(
            at,
            f"redirects to https also what comes in over https by listener {names}",
            evidence=tuple(f"attached to listener {listener}" for listener in listeners),
            remedy=(
                f"set sectionName: {plain} in the parentRef of a route with this rule only"
                if plain
                else "remove the rule: there is no HTTP listener to redirect from",
            ),
            settled=settled,
            explains=("EGD-524",),
        )
    ending = [] if host or port else _tls_ends_before(listeners, snapshot)
    if not ending:
        return None
    return Problem(
        at,
        "redirects to https although TLS ends at the load balancer",
        evidence=tuple(ending),
        why="Envoy sees only plain HTTP, so it redirects every request",
        remedy=("let the load balancer redirect, or match the header x-forwarded-proto: http",),
        confidence=Confidence.MEDIUM,
        settled=settled,
        explains=("EGD-524",),
    )


def _tls_ends_before(listeners: list[Listener], snapshot: Snapshot) -> list[str]:
    """Return the annotations that make the load balancer end TLS, if we only serve HTTP."""
    if not listeners or any(listener.protocol != "HTTP" for listener in listeners):
        return []
    found = []
    for listener in listeners:
        gateway = listener.gateway
        for service in _fleet_services(snapshot).get(f"{gateway.namespace}/{gateway.name}", []):
            found += [
                f"{service.ref}: annotation {name}"
                for name in service.annotations
                if any(mark in str(name) for mark in TLS_ANNOTATIONS)
            ]
    return list(dict.fromkeys(found))


@per_snapshot
def _fleet_services(snapshot: Snapshot) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for service in snapshot.all(SERVICE):
        if is_proxy(service):
            found.setdefault(fleet_key(service), []).append(service)
    return found
