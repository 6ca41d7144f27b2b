"""What a Prometheus remembers: answers to the queries that rules declare, as rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import CannotJudge
from egops.gatewayapi import DEPLOYMENT, GATEWAY, NAMESPACE
from egops.snapshot import Location, Ref, entries, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Snapshot

OWNER = "gateway_envoyproxy_io_owning_gateway"


class Row(NamedTuple):
    """One series of an instant query: its labels and its value, never NaN or infinite."""

    labels: Mapping[str, Any]
    value: float


def rows(snapshot: Snapshot, query: str) -> Iterator[Row]:
    """Yield the series of a query's answer.

    Raises:
        CannotJudge: the query was not answered; the snapshot's notes say why.
    """
    if query not in snapshot.prometheus:
        raise CannotJudge("Prometheus did not answer the query")
    for entry in snapshot.prometheus[query]:
        value = entries(entry, "value")
        try:
            number = float(value[1])
        except (IndexError, TypeError, ValueError):
            continue
        if math.isfinite(number):
            yield Row(section(entry, "metric"), number)


def place(snapshot: Snapshot, row: Row) -> Location:
    """Return the Gateway that a series names, else Envoy Gateway, else the namespace."""
    namespace = text(row.labels, "namespace")
    gateway = snapshot.find(
        GATEWAY,
        text(row.labels, f"{OWNER}_namespace"),
        text(row.labels, f"{OWNER}_name"),
    )
    if gateway is not None:
        return gateway.at()
    deployment = snapshot.find(DEPLOYMENT, namespace, "envoy-gateway")
    if deployment is not None:
        return deployment.at()
    return Location(Ref(NAMESPACE, "", namespace or "unknown"))
