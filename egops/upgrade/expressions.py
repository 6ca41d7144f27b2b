"""PromQL that users run: the expressions of their alerts and recording rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import PROMETHEUS_RULE
from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Resource, Snapshot


class Expression(NamedTuple):
    """One expression, and where it stands."""

    resource: Resource
    group: int
    number: int
    promql: str

    def at(self) -> Location:
        """Return the place of the expression."""
        return self.resource.at("spec", "groups", self.group, "rules", self.number, "expr")


def expressions(snapshot: Snapshot) -> Iterator[Expression]:
    """Yield every expression of every PrometheusRule."""
    for found in snapshot.all(PROMETHEUS_RULE):
        for group, body in items(found.spec, "groups"):
            for number, entry in items(body, "rules"):
                yield Expression(found, group, number, text(entry, "expr"))
