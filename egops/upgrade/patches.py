"""What EnvoyPatchPolicies patch: one operation after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import ENVOY_GATEWAY, ENVOY_PATCH_POLICY
from egops.snapshot import items, section, text
from egops.upgrade.change import to_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Resource, Snapshot

KINDS = (ENVOY_GATEWAY, ENVOY_PATCH_POLICY)


class Operation(NamedTuple):
    """One JSON patch of a policy; `whole` is its path and value as one text to search in."""

    policy: Resource
    number: int
    type: str  # `Listener`, `Cluster`, `RouteConfiguration`, …
    name: str
    path: str
    whole: str

    def at(self) -> Location:
        """Return the place of the patch."""
        return self.policy.at("spec", "jsonPatches", self.number)


def operations(snapshot: Snapshot) -> Iterator[Operation]:
    """Yield the operations of all policies, unless the configuration leaves them off."""
    configs = snapshot.all(ENVOY_GATEWAY)
    if configs and not any(_is_on(config) for config in configs):
        return
    for policy in snapshot.all(ENVOY_PATCH_POLICY):
        for index, entry in items(policy.spec, "jsonPatches"):
            operation = section(entry, "operation")
            path = " ".join(
                found for key in ("path", "jsonPath", "from") if (found := text(operation, key))
            )
            value = operation.get("value")
            shown = to_yaml(value) if isinstance(value, dict) else ""
            kind = text(entry, "type").rpartition(".")[2]
            yield Operation(policy, index, kind, text(entry, "name"), path, f"{path}\n{shown}")


def _is_on(config: Resource) -> bool:
    return section(config.body, "extensionApis").get("enableEnvoyPatchPolicy") is True
