"""CustomResourceDefinitions of the Gateway API and of Envoy Gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import CRD, EG, GWAPI, KINDS, XGWAPI
from egops.snapshot import Location, Ref, items, text

if TYPE_CHECKING:
    from egops.snapshot import Kind, Origin, Resource, Snapshot

BUNDLE_VERSION = f"{GWAPI}/bundle-version"
GROUPS = (GWAPI, XGWAPI, EG)
KIND_OF_CRD: dict[str, Kind] = {kind.resource: kind for kind in KINDS if kind.group in GROUPS}


def our_crds(snapshot: Snapshot) -> list[Resource]:
    """Return the CRDs of the kinds that Envoy Gateway reads."""
    return [crd for crd in snapshot.all(CRD) if crd.name in KIND_OF_CRD]


def served_versions(crd: Resource) -> list[str]:
    """Return the versions that the API server serves."""
    return [
        text(version, "name")
        for _, version in items(crd.spec, "versions")
        if version.get("served") is True
    ]


def place_of_absent(name: str, origin: Origin) -> Location:
    """Return the place of a CRD that does not exist: its name, where it is needed."""
    return Location(Ref(CRD, "", name), (), origin, CRD.api_version)


def count_objects(crd_name: str, snapshot: Snapshot) -> int:
    """Return how many objects of a CRD's kind the snapshot holds."""
    kind = KIND_OF_CRD.get(crd_name)
    return len(snapshot.all(kind)) if kind else 0
