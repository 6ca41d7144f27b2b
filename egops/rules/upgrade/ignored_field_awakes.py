"""EGU-1317 ignored-field-awakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    TCP_ROUTE,
    UDP_ROUTE,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import entries, text
from egops.upgrade.backends import KINDS, fault_of
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, Attachment, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1317",
    severity=Severity.WARNING,
    optional=(*ROUTES, *KINDS, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no object uses a field that was accepted but ignored",
)
def ignored_field_awakes(snapshot: Snapshot) -> Iterator[Problem]:
    """A field that was accepted without effect starts to work.

    ## Why it matters
    `compression` of a BackendTrafficPolicy, `retry` of an HTTPRoute rule and Backends in GRPC,
    TCP and UDPRoutes did nothing up to 1.2: responses are compressed now, requests repeated
    (the route's `retry` overrides the policy's), and traffic reaches Backends.

    ## How to fix it
    Remove the field if you do not want what it says.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    yield from _compression(joined)
    for attachment in joined.routes(HTTP_ROUTE, GRPC_ROUTE):
        yield from _retry(snapshot, attachment)
        yield from _names(snapshot, attachment)
    for attachment in joined.routes(GRPC_ROUTE, TCP_ROUTE, UDP_ROUTE):
        yield from _backends(joined, attachment)


def _compression(joined: World) -> Iterator[Problem]:
    path = ("spec", "compression")
    for policy, used in joined.in_use(BACKEND_TRAFFIC_POLICY):
        kinds = [text(entry, "type") for entry in entries(policy.spec, "compression")]
        routes = [a for a in used if a.route.kind in (HTTP_ROUTE, GRPC_ROUTE)]
        if not kinds or (joined.is_whole and not routes):
            continue
        yield change(
            joined.snapshot,
            policy.at(*path),
            f"responses are compressed ({', '.join(kinds)})",
            today="the field has no effect",
            after="responses of the policy's routes are compressed for clients that ask for it",
            keep=("remove spec.compression, or measure the proxies' CPU first",),
            verify="curl --compressed -v shows content-encoding as you expect",
            possible="" if routes else "certain if the policy counts for an HTTP route",
            fix_patch=patch(policy, path),
        )


def _retry(snapshot: Snapshot, attachment: Attachment) -> Iterator[Problem]:
    route = attachment.route
    if route.kind != HTTP_ROUTE:
        return
    for index, entry in rules_of(route):
        if isinstance(entry.body.get("retry"), dict):
            yield change(
                snapshot,
                entry.at("retry", section=f"rule {index}"),
                f"retry of rule {index} takes effect and overrides the policy's",
                today="the field has no effect, retries of a BackendTrafficPolicy count",
                after="requests are repeated as the rule says, the policy's retry is ignored",
                keep=("remove the field if the route is not safe to repeat",),
                verify="the route's retry_policy in /config_dump",
                fix_patch=patch(route, (*entry.path, "retry")),
            )


def _names(snapshot: Snapshot, attachment: Attachment) -> Iterator[Problem]:
    route = attachment.route
    named = [text(entry.body, "name") for _, entry in rules_of(route)]
    if any(named):
        yield change(
            snapshot,
            route.at("spec", "rules"),
            "rule names appear in the metadata of Envoy's routes",
            today="the names are not passed on",
            after="each route's metadata has sectionName",
            severity=Severity.INFO,
        )


def _backends(joined: World, attachment: Attachment) -> Iterator[Problem]:
    route = attachment.route
    for index, entry in rules_of(route):
        for ref in rule_backend_refs(entry):
            if ref.kind_name != "Backend" or fault_of(joined, ref, route) is not None:
                continue
            yield change(
                joined.snapshot,
                ref.entry.at(section=f"rule {index}"),
                f"{ref} starts to get traffic of the {route.kind.name}",
                today="a Backend in this kind of route is refused (ResolvedRefs=False)",
                after="the backend carries traffic",
                keep=("remove the backendRef if it is not meant to work",),
                verify="the route is ResolvedRefs=True and answers",
                fix_patch=patch(route, ref.entry.path),
            )
