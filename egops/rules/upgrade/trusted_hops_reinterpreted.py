"""EGU-1310 trusted-hops-reinterpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_PROXY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    SECURITY_POLICY,
)
from egops.rules import rule
from egops.snapshot import Resource, entries, items, section
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, Listener, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

PATH = ("spec", "clientIPDetection", "xForwardedFor")


@rule(
    code="EGU-1310",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(*ROUTES, ENVOY_PROXY, SECURITY_POLICY, BACKEND_TRAFFIC_POLICY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no ClientTrafficPolicy counts trusted hops",
)
def trusted_hops_reinterpreted(snapshot: Snapshot) -> Iterator[Problem]:
    """`numTrustedHops` is applied another way, and 0 now trusts what the client sends.

    ## Why it matters
    With 0 the client's address becomes the last entry of `X-Forwarded-For`, which the client itself
    may have written: rules by source address can be deceived. With any number Envoy no longer
    treats requests as coming from the edge: a client's `x-request-id` and some `x-envoy-` headers
    are kept, and `x-envoy-external-address` is not set.

    ## How to fix it
    With 0, delete the block. With more, strip the headers you don't want with
    `headers.earlyRequestHeaders.remove`.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    for policy, listeners in joined.on_listeners(CLIENT_TRAFFIC_POLICY):
        hops = section(policy.spec, *PATH[1:]).get("numTrustedHops")
        if not isinstance(hops, int) or isinstance(hops, bool):
            continue
        http = [listener for listener in listeners if listener.is_http]
        if joined.is_whole and not http:
            continue
        if hops == 0:
            yield _zero(joined, policy, http)
        else:
            yield _some(joined, policy, http, hops)


def _zero(joined: World, policy: Resource, listeners: list[Listener]) -> Problem:
    rules = sorted(_by_address(joined, listeners))
    return change(
        joined.snapshot,
        policy.at(*PATH, "numTrustedHops"),
        "numTrustedHops 0 takes the client's address from X-Forwarded-For, which clients can forge",
        evidence=tuple(f"{rule} judges by source address" for rule in rules),
        today="the peer of the connection is the client",
        after="the last entry of X-Forwarded-For is the client",
        keep=("delete spec.clientIPDetection.xForwardedFor: the peer's address is the default",),
        verify="a request with a forged X-Forwarded-For is still judged by its real address",
        severity=Severity.ERROR if rules else Severity.WARNING,
        possible="" if listeners else "certain if it is attached to an HTTP listener",
        fix_patch=patch(policy, PATH),
    )


def _some(joined: World, policy: Resource, listeners: list[Listener], hops: int) -> Problem:
    return change(
        joined.snapshot,
        policy.at(*PATH, "numTrustedHops"),
        f"with {hops} trusted hop(s) Envoy no longer cleans headers as for edge requests",
        evidence=tuple(f"listener: {listener.label}" for listener in listeners),
        today="use_remote_address is true: x-request-id is made anew, edge headers are stripped",
        after="use_remote_address is false: x-request-id and x-envoy headers are kept; "
        "the client's address is the same",
        keep=("strip unwanted headers with spec.headers.earlyRequestHeaders.remove",),
        verify="the header x-request-id that a client sends does not reach the backend",
        severity=Severity.WARNING,
        possible="" if listeners else "certain if it is attached to an HTTP listener",
    )


def _by_address(joined: World, listeners: list[Listener]) -> Iterator[str]:
    for listener in listeners:
        for attachment in joined.routes_of(listener, HTTP_ROUTE, GRPC_ROUTE):
            for policy in joined.route_policies(SECURITY_POLICY, attachment):
                for _, entry in items(policy.spec, "authorization", "rules"):
                    if entries(entry, "principal", "clientCIDRs"):
                        yield f"SecurityPolicy {policy.namespace}/{policy.name}"
            for policy in joined.route_policies(BACKEND_TRAFFIC_POLICY, attachment):
                if _limits_by_address(policy):
                    yield f"BackendTrafficPolicy {policy.namespace}/{policy.name}"


def _limits_by_address(policy: Resource) -> bool:
    for scope in ("global", "local"):
        for _, entry in items(policy.spec, "rateLimit", scope, "rules"):
            for _, selector in items(entry, "clientSelectors"):
                if section(selector, "sourceCIDR"):
                    return True
    return False
