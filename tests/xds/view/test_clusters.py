"""Health as Envoy balances by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from egops.xds.admin import ClusterStatuses
from egops.xds.view.clusters import ClusterRow, EndpointRow, cluster_rows, endpoint_rows
from tests.xds.dumps import load, parsed, section

NAME = "httproute/demo/canary/rule/0"
HOSTS = ("198.18.1.5", "198.18.1.6")


def statuses(*health: dict[str, Any]) -> ClusterStatuses:
    hosts = [
        {
            "address": {"socket_address": {"address": address, "port_value": 3000}},
            "health_status": status,
        }
        for address, status in zip(HOSTS, health, strict=True)
    ]
    return ClusterStatuses.parse(
        msgspec.json.encode({"cluster_statuses": [{"name": NAME, "host_statuses": hosts}]})
    )


def dump() -> Any:
    document = load("eg-1.9.0")
    addresses = [
        locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["address"]
        for entry in section(document, "Endpoints")["dynamic_endpoint_configs"]
        if entry["endpoint_config"]["cluster_name"] == NAME
        for locality in entry["endpoint_config"]["endpoints"]
    ]
    assert addresses == list(HOSTS)
    return document


def canary(found: ClusterStatuses | None, document: Any = None) -> list[EndpointRow]:
    rows = endpoint_rows(parsed(document or dump()), found)
    return [row for row in rows if row.cluster == NAME]


@pytest.mark.parametrize(
    ("status", "health", "reasons", "healthy"),
    [
        ({"eds_health_status": "HEALTHY"}, "HEALTHY", (), True),
        ({"eds_health_status": "DRAINING"}, "DRAINING", (), False),
        (
            {"eds_health_status": "HEALTHY", "failed_outlier_check": True},
            "UNHEALTHY",
            ("ejected as an outlier",),
            False,
        ),
        ({"failed_active_health_check": True}, "UNHEALTHY", ("failed health check",), False),
        ({"eds_health_status": "DEGRADED"}, "DEGRADED", (), True),
    ],
)
def test_the_status_of_a_host_beats_the_config_dump(
    status: dict[str, Any], health: str, reasons: tuple[str, ...], healthy: bool
) -> None:
    first, second = canary(statuses(status, {"eds_health_status": "HEALTHY"}))

    assert (first.health, first.reasons, first.is_healthy) == (health, reasons, healthy)
    assert second.is_healthy
    assert [row.owner.backend for row in (first, second) if row.owner] == [0, 1]


def test_a_cluster_counts_its_healthy_endpoints() -> None:
    found = statuses({"eds_health_status": "DRAINING"}, {"eds_health_status": "HEALTHY"})

    (row,) = (row for row in cluster_rows(parsed(dump()), found) if row.name == NAME)

    assert (row.healthy, row.endpoints) == (1, 2)


def test_statuses_alone_are_enough() -> None:
    document = dump()
    document["configs"].remove(section(document, "Endpoints"))

    assert canary(None, document) == []
    found = canary(statuses({}, {}), document)
    assert [row.address for row in found] == [f"{host}:3000" for host in HOSTS]
    assert [str(row.owner) for row in found] == ["HTTPRoute/demo/canary/0"] * 2


def test_a_dump_without_endpoints_does_not_claim_none() -> None:
    document = dump()
    document["configs"].remove(section(document, "Endpoints"))

    (row,) = (row for row in cluster_rows(parsed(document)) if row.name == NAME)

    assert isinstance(row, ClusterRow)
    assert (row.endpoints, row.healthy) == (None, None)
