"""EGU-1705 rewritten-host-resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, HTTP_ROUTE, HTTP_ROUTE_FILTER, rule_backend_refs, rules_of
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Resource, Snapshot


@rule(
    code="EGU-1705",
    severity=Severity.WARNING,
    reads=(BACKEND,),
    optional=(
        *ROUTES,
        HTTP_ROUTE_FILTER,
    ),
    since="0.1",
    changed_in=(1, 7, 0),
    link=notes_link((1, 7, 0)),
    ok="no route rewrites the host on the way to a dynamic resolver",
)
def rewritten_host_resolved(snapshot: Snapshot) -> Iterator[Problem]:
    """A route rewrites the host and sends to a dynamic resolver, which looks up the new host.

    ## Why it matters
    The resolver looked up the host that the client sent. From 1.7 on it looks up the rewritten one:
    requests go to another server.

    ## How to fix it
    Make sure that the rewritten host is the one to connect to, or drop the rewrite.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for attachment in joined.routes(HTTP_ROUTE):
        for _, entry in rules_of(attachment.route):
            backends = [snapshot.get(ref.ref) for ref in rule_backend_refs(entry) if ref.ref]
            if not any(
                found is not None and found.kind == BACKEND and _is_dynamic(found)
                for found in backends
            ):
                continue
            for index, body in items(entry.body, "filters"):
                if not _rewrites(snapshot, attachment.route, body):
                    continue
                yield change(
                    snapshot,
                    attachment.route.at(*entry.path, "filters", index),
                    "the rewritten host is looked up and connected to",
                    today="the host that the client sent is looked up",
                    after="the rewritten host is looked up",
                    keep=("remove the rewrite if the client's host is the server's",),
                    verify="the upstream host in the access log",
                )


def _is_dynamic(backend: Resource) -> bool:
    return text(backend.spec, "type") == "DynamicResolver"


def _rewrites(snapshot: Snapshot, route: Resource, body: object) -> bool:
    if "hostname" in section(body, "urlRewrite"):
        return True
    name = text(body, "extensionRef", "name")
    found = snapshot.find(HTTP_ROUTE_FILTER, route.namespace, name) if name else None
    return found is not None and "hostname" in section(found.spec, "urlRewrite")
