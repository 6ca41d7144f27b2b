"""EGU-1320 patch-target-changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_GATEWAY,
    ENVOY_PATCH_POLICY,
    ENVOY_PROXY,
    HTTP_ROUTE,
    rule_backend_refs,
    rules_of,
)
from egops.rules import rule
from egops.snapshot import Resource, entries, items, section, text
from egops.upgrade.backends import KINDS, Fault, fault_of
from egops.upgrade.bootstrap import kind_of
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Snapshot

CLUSTER = re.compile(r"httproute/([^/]+)/([^/]+)/rule/(\d+)$")


class Break(NamedTuple):
    """Why a patch does not do what it did."""

    why: str
    severity: Severity
    possible: str = ""


@rule(
    code="EGU-1320",
    severity=Severity.ERROR,
    optional=(*ROUTES, *KINDS, ENVOY_PATCH_POLICY, CLIENT_TRAFFIC_POLICY, BACKEND_TRAFFIC_POLICY,
              BACKEND_TLS_POLICY),
    since="0.1",
    changed_in=(1, 3, 0),
    link=notes_link((1, 3, 0)),
    ok="no EnvoyPatchPolicy or bootstrap depends on what changes",
)  # fmt: skip
def patch_target_changes(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyPatchPolicy or a bootstrap patch works on configuration that changes.

    ## Why it matters
    Patches name places in the configuration that Envoy Gateway makes. When such a place moves or
    goes, the patch fails and the resource is published unpatched, or it changes something else.

    ## How to fix it
    Rewrite the patch for the target release and try it before the upgrade.
    """
    upgrade_of(snapshot)
    joined = world(snapshot)
    if _is_enabled(snapshot):
        for policy in snapshot.all(ENVOY_PATCH_POLICY):
            yield from _policy(joined, policy)
    for proxy in snapshot.all(ENVOY_PROXY):
        if kind_of(proxy):
            yield change(
                snapshot,
                proxy.at("spec", "bootstrap"),
                f"the {kind_of(proxy)} bootstrap is to be tried with the target release",
                today="it is applied to the bootstrap of the installed release",
                after="the template is the same but for the controller's host name; from 1.4 on "
                "the readiness listener moves",
                keep=("render it with the target release: egctl x translate",),
                verify="the proxies start and connect",
                severity=Severity.INFO,
                possible="certain if it touches what later releases change",
            )


def _is_enabled(snapshot: Snapshot) -> bool:
    configs = snapshot.all(ENVOY_GATEWAY)
    key = "enableEnvoyPatchPolicy"
    return not configs or any(section(c.body, "extensionApis").get(key) is True for c in configs)


def _policy(joined: World, policy: Resource) -> Iterator[Problem]:
    quiet = True
    for index, patch in items(policy.spec, "jsonPatches"):
        operation = section(patch, "operation")
        found = _break(joined, patch, operation)
        if found is None:
            continue
        quiet = False
        key = "path" if "path" in operation else "jsonPath"
        yield change(
            joined.snapshot,
            policy.at("spec", "jsonPatches", index, "operation", key),
            f"the patch of {text(patch, 'name')} does not do what it did: {found.why}",
            today="the patch is applied",
            after="it fails (the resource is published unpatched), or changes something else",
            keep=("rewrite it for the target release, and try it before the upgrade",),
            verify="the EnvoyPatchPolicy is Programmed=True",
            severity=found.severity,
            possible=found.possible,
        )
    if quiet:
        yield change(
            joined.snapshot,
            policy.at(),
            "the patches are to be tried with the target release",
            today="they are applied",
            after="nothing known to change is named, but names and order are no promise",
            keep=("try them before the upgrade",),
            verify="the EnvoyPatchPolicy is Programmed=True",
            severity=Severity.INFO,
            possible="certain only by trying",
        )


def _break(
    joined: World, patch: Mapping[str, object], operation: Mapping[str, object]
) -> Break | None:
    snapshot = joined.snapshot
    path = " ".join(text(operation, key) for key in ("path", "jsonPath", "from"))
    verb = text(operation, "op")
    needs = verb in ("replace", "remove", "test", "copy", "move")
    if needs and "xff_num_trusted_hops" in path and _has_hops(snapshot):
        return Break("xff_num_trusted_hops is gone from the listener", Severity.ERROR)
    if verb in ("test", "remove") and "use_remote_address" in path and _has_hops(snapshot):
        return Break("use_remote_address is false now", Severity.ERROR)
    if needs and "trusted_ca" in path and "filename" in path and _has_system_ca(snapshot):
        return Break("the system CA became an SDS secret", Severity.ERROR)
    if re.search(r"http_filters(/|\[)\d", path) and _has_override(snapshot):
        return Break(
            "custom_response moves in the filter chain, indexes shift",
            Severity.WARNING,
            "certain if the index lies behind the filter that moves",
        )
    return _gone(joined, patch)


def _has_hops(snapshot: Snapshot) -> bool:
    path = ("clientIPDetection", "xForwardedFor")
    return any(section(p.spec, *path) for p in snapshot.all(CLIENT_TRAFFIC_POLICY))


def _has_system_ca(snapshot: Snapshot) -> bool:
    return any(
        text(policy.spec, "validation", "wellKnownCACertificates") == "System"
        for policy in snapshot.all(BACKEND_TLS_POLICY)
    )


def _has_override(snapshot: Snapshot) -> bool:
    found = snapshot.all(BACKEND_TRAFFIC_POLICY)
    return any(entries(policy.spec, "responseOverride") for policy in found)


def _gone(joined: World, patch: Mapping[str, object]) -> Break | None:
    """Return a break if the patch is on the cluster of a rule that has no usable backend."""
    named = CLUSTER.match(text(patch, "name"))
    kind = text(patch, "type").rpartition(".")[2]
    if not named or kind not in ("Cluster", "ClusterLoadAssignment"):
        return None
    route = joined.snapshot.find(HTTP_ROUTE, named.group(1), named.group(2))
    for index, entry in rules_of(route) if route else ():
        refs = list(rule_backend_refs(entry))
        if index == int(named.group(3)) and route is not None:
            faults = [fault_of(joined, ref, route) for ref in refs]
            if any(isinstance(fault, Fault) for fault in faults):
                return Break(
                    "a backend of the rule can't be used: the cluster is gone", Severity.ERROR
                )
    return None
