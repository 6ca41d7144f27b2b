"""Small makers that several tests use: rules, problems, snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import GATEWAY
from egops.rules import Rule
from egops.snapshot import Kind, Origin, Probe, Resource, Snapshot, Source, SourceType

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Check = Callable[[Snapshot], Iterator[Problem | Unjudged]]


def resource(kind: Kind = GATEWAY, name: str = "public", **body: Any) -> Resource:
    """Return an object in namespace `edge`."""
    metadata = {"name": name, "namespace": "edge", **body.pop("metadata", {})}
    return Resource(kind, {"metadata": metadata, **body}, Origin())


def snapshot(*resources: Resource, **fields: Any) -> Snapshot:
    """Return a cluster's snapshot of these objects."""
    by_kind: dict[Kind, tuple[Resource, ...]] = {}
    for one in resources:
        by_kind[one.kind] = (*by_kind.get(one.kind, ()), one)
    source = fields.pop("source", Source(SourceType.CLUSTER, "test"))
    return Snapshot(taken_at=NOW, source=source, resources=by_kind, **fields)


def a_rule(
    code: str,
    check: Check,
    *,
    severity: Severity = Severity.ERROR,
    area: str = "gateway",
    reads: tuple[Kind, ...] = (GATEWAY,),
    optional: tuple[Kind, ...] = (),
    probes: tuple[Probe, ...] = (),
    versions: tuple[tuple[int, ...] | None, tuple[int, ...] | None] = (None, None),
) -> Rule:
    """Return a rule around a check."""
    return Rule(
        code=code,
        name=f"rule-{code.lower()}",
        area=area,
        severity=severity,
        check=check,
        reads=reads,
        optional=optional,
        probes=probes,
        optional_probes=(),
        since="0.1",
        ok=f"{code} holds",
        summary="A summary",
        documentation="A summary.\n\n## Why it matters\nIt does.\n\n## How to fix it\nFix it.",
        versions=versions,
    )


def finds(*problems: Problem | Unjudged) -> Check:
    """Return a check that says this."""

    def check(_: Snapshot) -> Iterator[Problem | Unjudged]:
        yield from problems

    return check
