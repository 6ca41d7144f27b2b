"""Which release a set of CRDs belongs to: Envoy Gateway's carry no version, their fields tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.snapshot import Resource

Version = tuple[int, ...]
GROUP, GATEWAY_API = "gateway.envoyproxy.io", "gateway.networking.k8s.io"
# a path that first appears in the CRDs of this minor
FINGERPRINTS: dict[Version, tuple[tuple[str, str], ...]] = {
    (1, 1): (("backends", ""), ("clienttrafficpolicies", "spec.targetRefs")),
    (1, 2): (("httproutefilters", ""), ("envoyproxies", "spec.ipFamily")),
    (1, 3): (
        ("securitypolicies", "spec.apiKeyAuth"),
        ("clienttrafficpolicies", "spec.clientIPDetection.xForwardedFor.trustedCIDRs"),
        ("envoyproxies", "spec.preserveRouteOrder"),
    ),
    (1, 4): (("backends", "spec.type"), ("backendtrafficpolicies", "spec.mergeType")),
    (1, 5): (("backends", "spec.endpoints.zone"), ("envoyproxies", "spec.luaValidation")),
    (1, 6): (("backendtrafficpolicies", "spec.compressor"), ("envoyproxies", "spec.provider.host")),
    (1, 7): (("backendtrafficpolicies", "spec.routingType"), ("envoyproxies", "status.ancestors")),
    (1, 8): (
        ("backendtrafficpolicies", "spec.admissionControl"),
        ("envoyproxies", "spec.mergeType"),
    ),
    (1, 9): (
        ("clienttrafficpolicies", "spec.clientIPDetection.directSourceIP"),
        ("securitypolicies", "spec.csrf"),
    ),
}


def at_least(crds: Iterable[Resource]) -> Version | None:
    """Return the minor that Envoy Gateway's CRDs have the fields of.

    None without such CRDs, or where none of them holds its schema (it may have been cut off). A
    set of several CRDs is as old as its oldest: each minor's fields must be in those that are
    there.
    """
    schemas = {
        text(crd.spec, "names", "plural"): _schema(crd)
        for crd in crds
        if text(crd.spec, "group") == GROUP
    }
    if not any(schemas.values()):
        return None
    found: Version = (1, 0)
    for minor, marks in sorted(FINGERPRINTS.items()):
        known = [(plural, path) for plural, path in marks if plural in schemas]
        if known:
            if not all(_has(schemas[plural], path) for plural, path in known):
                break
            found = minor
        elif all(not path for _, path in marks):
            break
    return found


def _schema(crd: Resource) -> Any:
    for _, version in items(crd.spec, "versions"):
        if version.get("served") is not False:
            return section(version, "schema", "openAPIV3Schema")
    return {}


def _has(schema: Any, path: str) -> bool:
    for part in path.split(".") if path else ():
        schema = section(schema).get("items", schema)
        properties = section(schema, "properties")
        if part not in properties:
            return False
        schema = properties[part]
    return True


def bundle(crds: Iterable[Resource]) -> Iterator[tuple[Resource, str, str]]:
    """Yield the CRDs of the Gateway API with their bundle's version and channel."""
    for crd in crds:
        if text(crd.spec, "group") == GATEWAY_API:
            version = text(crd.annotations, f"{GATEWAY_API}/bundle-version")
            channel = text(crd.annotations, f"{GATEWAY_API}/channel")
            if version:
                yield crd, version, channel or "unknown"


def served(crd: Resource) -> list[str]:
    """Return the versions that a CRD serves."""
    return [
        text(version, "name")
        for version in entries(crd.spec, "versions")
        if section(version).get("served") is True
    ]
