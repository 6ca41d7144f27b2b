"""Which releases an upgrade goes from and to, and which rules judge it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from egops.errors import EgopsError, InputError
from egops.gatewayapi import (
    APPLICATION,
    CRD,
    GATEWAY,
    GATEWAY_CLASS,
    HELM_RELEASE,
    ROUTE_KINDS,
    controller_names,
    image_version,
    installs,
    parent_refs,
)
from egops.snapshot import Upgrade, items, text
from egops.upgrade.crds import at_least
from egops.upgrade.releases import MATRIX, RELEASES, dotted, is_in_force, last_patch, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.snapshot import Resource, Snapshot

Version = tuple[int, ...]
NAMES = ("gateway-helm", "gateway")
ANY_STEP = ((1, 0, 0),)
OUR_GROUPS = ("gateway.envoyproxy.io", "gateway.networking.k8s.io", "egops.dev")


class Dated(Protocol):
    """A rule, as far as the choice of rules needs to know it."""

    @property
    def changed_in(self) -> tuple[Version, ...]:
        """Return the first release of each minor with the change."""

    @property
    def fixed_in(self) -> tuple[Version, ...]:
        """Return the first release of each minor that took it back."""


R = TypeVar("R", bound=Dated)


class Installed(NamedTuple):
    """The installed release, and how it is known."""

    version: Version
    source: str


def installed(snapshot: Snapshot) -> Installed | None:
    """Return the release that the snapshot shows, None if nothing tells."""
    for found in installs(snapshot):
        deployment = found.deployment
        if deployment is None:
            continue
        if found.version in RELEASES:
            return Installed(found.version or (), f"image {found.image}")
        for label in ("app.kubernetes.io/version", "helm.sh/chart"):
            value = text(deployment.labels, label)
            version = _release(value)
            if version:
                return Installed(version, f"label {label}: {value}")
    for resource in (*snapshot.all(HELM_RELEASE), *snapshot.all(APPLICATION)):
        value = _chart_version(resource)
        if version := _release(value):
            return Installed(version, f"{resource.ref}: version {value}")
    minor = at_least(snapshot.all(CRD))
    if minor is not None and minor in MATRIX:
        return Installed(last_patch(minor), f"fields of the CRDs: {dotted(minor)}, patch unknown")
    return None


def _release(value: str) -> Version | None:
    found = re.search(r"v?(\d+\.\d+\.\d+)$", value)
    version = image_version(f":{found.group(1)}") if found else None
    return version if version in RELEASES else None


def _chart_version(resource: Resource) -> str:
    if resource.kind == HELM_RELEASE:
        chart = text(resource.spec, "chart", "spec", "chart").rpartition("/")[2]
        return text(resource.spec, "chart", "spec", "version") if chart in NAMES else ""
    sources = [resource.spec.get("source"), *(s for _, s in items(resource.spec, "sources"))]
    for source in sources:
        chart = (
            text(source, "chart").rpartition("/")[2] or text(source, "repoURL").rpartition("/")[2]
        )
        if chart in NAMES:
            return text(source, "targetRevision")
    return ""


def step_of(snapshot: Snapshot, start: str, end: str) -> tuple[Upgrade, str]:
    """Return the upgrade that the user means, and how its start is known.

    Raises:
        InputError: a release is unknown, the target is not newer than the start.
        EgopsError: nothing tells which release is installed.
    """
    found = Installed(named(start), "given with --from") if start else installed(snapshot)
    if found is None:
        raise EgopsError(
            "the installed release of Envoy Gateway is unknown",
            hint="give it with --from, for instance --from 1.2.8",
        )
    target = named(end, found.version)
    if target == found.version:
        raise InputError(
            f"Envoy Gateway {dotted(target)} is installed already ({found.source})",
            hint="give a newer release with --to",
        )
    if target[:2] < found.version[:2] or (
        target[:2] == found.version[:2] and target < found.version
    ):
        raise InputError(
            f"{dotted(target)} is older than the installed {dotted(found.version)}: a downgrade",
            hint="downgrades are not judged; to go back from an upgrade see the plan it printed",
        )
    return Upgrade(found.version, target), found.source


def rules_of(rules: Iterable[R], step: Upgrade) -> tuple[R, ...]:
    """Return the rules whose change counts in the target and not in the installed release.

    Rules about any step (the matrix, the CRDs, lost fixes) say `changed_in=(1, 0, 0)`.
    """
    return tuple(rule for rule in rules if _applies(rule, step))


def _applies(rule: Dated, step: Upgrade) -> bool:
    if rule.changed_in in ((), ANY_STEP):
        return True
    before = is_in_force(step.from_version, rule.changed_in, rule.fixed_in)
    return not before and is_in_force(step.to_version, rule.changed_in, rule.fixed_in)


def not_covered(rules: Iterable[R], step: Upgrade) -> list[Version]:
    """Return the minors of a step whose changes in behaviour no rule knows."""
    known = {first[:2] for rule in rules for first in rule.changed_in}
    return [
        m
        for m in sorted(MATRIX)
        if step.from_version[:2] < m <= step.to_version[:2] and m not in known
    ]


def accept(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with a note of what belongs to other controllers.

    Raises:
        EgopsError: nothing is of Envoy Gateway, so that silence would say nothing.
    """
    others = _of_others(snapshot)
    if not is_ours(snapshot) and not snapshot.broken:
        said = "; ".join((*snapshot.notes, *others))
        raise EgopsError(
            "nothing of Envoy Gateway is in the input" + (f": {said}" if said else ""),
            hint="give Gateways, routes, policies, values of the chart or a cluster that has them",
        )
    return replace(snapshot, notes=(*snapshot.notes, *others)) if others else snapshot


def is_ours(snapshot: Snapshot) -> bool:
    """Return whether anything in the snapshot concerns Envoy Gateway."""
    if installs(snapshot):
        return True
    foreign = {resource.ref for resource in _foreign(snapshot)}
    return any(
        resource.ref not in foreign
        for kind, found in snapshot.resources.items()
        if kind.group in OUR_GROUPS
        for resource in found
    )


def _of_others(snapshot: Snapshot) -> tuple[str, ...]:
    """Return a note of the objects of other controllers, none if there are none."""
    found = Counter(resource.kind.name for resource in _foreign(snapshot))
    if not found:
        return ()
    names = ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))
    return (f"{found.total()} objects of other controllers left out: {names}",)


def _foreign(snapshot: Snapshot) -> Iterator[Resource]:
    """Yield the classes of other controllers, their Gateways, and the routes of those alone."""
    names = controller_names(snapshot)
    classes = {
        one.name: text(one.spec, "controllerName") in names for one in snapshot.all(GATEWAY_CLASS)
    }
    yield from (one for one in snapshot.all(GATEWAY_CLASS) if not classes[one.name])
    theirs: set[tuple[str, str]] = set()
    for gateway in snapshot.all(GATEWAY):
        if classes.get(text(gateway.spec, "gatewayClassName")) is False:
            theirs.add((gateway.namespace, gateway.name))
            yield gateway
    for kind in ROUTE_KINDS if theirs else ():
        for route in snapshot.all(kind):
            parents = [(one.namespace, one.name) for one in parent_refs(route)]
            if parents and theirs.issuperset(parents):
                yield route
