"""Whether a Gateway's Service has an address, as each release of Envoy Gateway would see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.snapshot import entries, items, text

if TYPE_CHECKING:
    from egops.snapshot import Resource

EXTERNAL_IPS_SINCE = ((1, 7, 5), (1, 8, 2))  # in 1.7.x, in 1.8.x; every later minor has it


def service_type(service: Resource) -> str:
    """Return the Service's type; ClusterIP is the default."""
    return text(service.spec, "type") or "ClusterIP"


def ingress(service: Resource) -> list[str]:
    """Return the addresses and host names that a load balancer gave."""
    found = items(service.status, "loadBalancer", "ingress")
    return [text(entry, "ip") or text(entry, "hostname") for _, entry in found]


def assigned(service: Resource, version: tuple[int, ...] | None) -> list[str]:
    """Return the addresses that Envoy Gateway would put on the Gateway; `nodes` for NodePort."""
    match service_type(service):
        case "LoadBalancer":
            if found := [address for address in ingress(service) if address]:
                return found
            external = [str(address) for address in entries(service.spec, "externalIPs")]
            return external if _takes_external_ips(version) else []
        case "ClusterIP":
            addresses = entries(service.spec, "clusterIPs") or [text(service.spec, "clusterIP")]
            return [str(address) for address in addresses if address and address != "None"]
        case "NodePort":
            return ["nodes"]
        case _:
            return []


def _takes_external_ips(version: tuple[int, ...] | None) -> bool:
    if version is None or version >= (1, 9):
        return True
    return any(version[:2] == since[:2] and version >= since for since in EXTERNAL_IPS_SINCE)
