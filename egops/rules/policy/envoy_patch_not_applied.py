"""EGD-345 envoy-patch-not-applied."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from egops import conditions
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    ENVOY_PATCH_POLICY,
    OURS,
    installs,
    our_ancestors,
    running_version,
)
from egops.rules import rule
from egops.snapshot import Probe, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gatewayapi import Condition
    from egops.snapshot import Path, Proxy, Resource, Snapshot


@rule(
    code="EGD-345",
    severity=Severity.ERROR,
    reads=(ENVOY_PATCH_POLICY,),
    optional=OURS,
    optional_probes=(Probe.CONFIG_DUMP,),
    since="0.1",
    ok="every EnvoyPatchPolicy is applied",
)
def envoy_patch_not_applied(snapshot: Snapshot) -> Iterator[Problem]:
    """An EnvoyPatchPolicy is not applied.

    ## Why it matters
    The API is off by default (`Disabled`). A patch that names an xDS resource that does not exist
    (`ResourceNotFound`) or does not fit (`Invalid`) changes nothing, and before Envoy Gateway
    1.6.4 it keeps all other configuration from being delivered too.

    ## How to fix it
    Set `extensionApis.enableEnvoyPatchPolicy: true`, or correct the name of the resource: it
    depends on the name scheme (`XDSNameSchemeV2`). HTTP listeners keep their filters under
    `default_filter_chain`, HTTPS listeners under `filter_chains`.
    """
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        failed = _failed(policy, snapshot)
        disabled = _is_disabled(snapshot)
        if failed is None and not disabled:
            continue
        found, reason = failed, failed.reason if failed else "Disabled"
        path, names = _missing(policy, failed)
        yield Problem(
            policy.at(*path),
            f"is not applied: {reason}" + (f" ({', '.join(names)})" if names else ""),
            evidence=(
                *([conditions.told(found)] if found else []),
                *_nearest(names, snapshot),
                f"name scheme: {_scheme(snapshot)}",
            ),
            why=found.message if found else "enableEnvoyPatchPolicy is not set",
            remedy=tuple(_remedy(reason, names, snapshot)),
            severity=conditions.severity(found, policy, Severity.ERROR) if found else None,
            settled=found.has_settled(policy, snapshot) if found else True,
            explains=("EGD-142",),
        )


def _failed(policy: Resource, snapshot: Snapshot) -> Condition | None:
    for ancestor in our_ancestors(policy, snapshot):
        for kind in ("Accepted", "Programmed"):
            found = conditions.failed(ancestor.body, kind)
            if found and found.reason != "TargetNotFound":  # policy-target-not-found
                return found
    return None


def _is_disabled(snapshot: Snapshot) -> bool:
    known = [install for install in installs(snapshot) if install.config]
    return bool(known) and not any(i.extension_api("enableEnvoyPatchPolicy") for i in known)


def _missing(policy: Resource, found: Condition | None) -> tuple[Path, list[str]]:
    """Return the patches whose resource the condition says is missing."""
    if found is None or found.reason != "ResourceNotFound":
        return ("spec",), []
    named = [
        (index, text(patch, "name"))
        for index, patch in items(policy.spec, "jsonPatches")
        if text(patch, "name") and text(patch, "name") in found.message
    ]
    if not named:
        return ("spec", "jsonPatches"), []
    return ("spec", "jsonPatches", named[0][0], "name"), [name for _, name in named]


def _nearest(names: list[str], snapshot: Snapshot) -> Iterator[str]:
    if not names:
        return
    known = sorted({n for proxy in snapshot.proxies for n in _resource_names(proxy)})
    for name in names:
        if close := get_close_matches(name, known, n=3, cutoff=0.4):
            yield f"nearest to {name}: {', '.join(close)}"


def _resource_names(proxy: Proxy) -> Iterator[str]:
    if not proxy.has(Probe.CONFIG_DUMP):
        return
    config = proxy.config
    yield from (listener.name for listener in config.listeners)
    yield from (entry.route_config.name for entry in config.route_configs)
    yield from (entry.cluster.name for entry in config.clusters)


def _scheme(snapshot: Snapshot) -> str:
    if any(install.flag("XDSNameSchemeV2") for install in installs(snapshot)):
        return "XDSNameSchemeV2 (tcp-<port>)"
    return "default (<namespace>/<gateway>/<listener>)"


def _remedy(reason: str, names: list[str], snapshot: Snapshot) -> Iterator[str]:
    version = running_version(snapshot)
    if version and version < (1, 6, 4):
        yield "repair it soon: before 1.6.4 it keeps all other configuration from the proxies"
    if reason == "Disabled":
        yield "set extensionApis.enableEnvoyPatchPolicy: true in the EnvoyGateway configuration"
    elif names:
        yield f"correct the name {names[0]}; egops inspect lists the names that exist"
    else:
        yield "correct the patch: path, op and value must fit the resource"
