"""EGU-1906 patched-names-change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND, ENVOY_GATEWAY
from egops.rules import rule
from egops.snapshot import entries, items, section
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.patches import KINDS, operations
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

DNS = "DNS clusters are typed envoy.cluster.dns"
ROUTE = re.compile(r"(http|grpc|tcp|tls|udp)route/")
CHANGES = (
    (
        r"/(dns_refresh_rate|respect_dns_ttl|dns_lookup_family|type)\b",
        ("Cluster",),
        DNS,
    ),
    (r"\b(providers|requirement_map)\b", ("Listener",), "JWT providers have other names"),
    (
        r"\brate_limits\b",
        ("RouteConfiguration",),
        "shared rate limits move to typed_per_filter_config",
    ),
    (
        r"validation_context_sds_secret_config|/[^/\s]+-ca$",
        ("Cluster", "Secret"),
        "the secret of the system CA is system_ca_certificates",
    ),
    (
        r"envoy\.filters\.http\.lua",
        ("Listener", "RouteConfiguration"),
        "Lua filters have other names",
    ),
)


@rule(
    code="EGU-1906",
    severity=Severity.WARNING,
    optional=(*KINDS, BACKEND),
    since="0.1",
    changed_in=(1, 9, 0),
    link=notes_link((1, 9, 0)),
    ok="no patch touches clusters or names that change",
)
def patched_names_change(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyPatchPolicy works on a name or a field that 1.9 generates another way.

    ## Why it matters
    DNS clusters become `envoy.cluster.dns`, JWT providers get names made of their content, shared
    rate limits move into `typedPerFilterConfig`, system CA certificates share one secret, and Lua
    filters and Unix SDS clusters get other names. A patch on the old place fails or does nothing.

    ## How to fix it
    Rewrite the patch for 1.9 and try it before the upgrade.
    """
    upgrade_of(snapshot)
    has_names = any(
        "fqdn" in endpoint
        for backend in snapshot.all(BACKEND)
        for _, endpoint in items(backend.spec, "endpoints")
    )
    for found in operations(snapshot):
        for pattern, types, what in CHANGES:
            if what == DNS and ROUTE.match(found.name) and not has_names:
                continue  # the cluster of a route to Services has their endpoints
            if found.type in types and re.search(pattern, f"{found.name}\n{found.whole}"):
                yield change(
                    snapshot,
                    found.at(),
                    f"the patch of {found.name} names what changes: {what}",
                    evidence=(f"path: {found.path}",),
                    today="the patch is applied",
                    after="it finds nothing at the old place, or sets a field that is ignored",
                    keep=("rewrite it for 1.9 and try it before the upgrade",),
                    verify=f"EnvoyPatchPolicy {found.policy.name} is Programmed=True",
                    possible="certain if the patched resource is one that changes",
                )
                break
    yield from _extension_server(snapshot)


def _extension_server(snapshot: Snapshot) -> Iterator[Problem]:
    for config in snapshot.all(ENVOY_GATEWAY):
        if section(config.body, "extensionManager") or entries(config.body, "extensionManagers"):
            yield change(
                snapshot,
                config.at("extensionManager"),
                "the extension server sees other names of clusters, secrets and JWT providers",
                today="the names of the installed release",
                after="those of 1.9; DNS clusters are typed envoy.cluster.dns",
                keep=("try the extension server with 1.9 before the upgrade",),
                verify="what the extension server adds is in /config_dump",
                possible="certain if it reads or writes one of them",
            )
