"""EGU-0011 field-pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.tightened import KINDS, all_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-0011",
    severity=Severity.WARNING,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/docs/install/install-helm/",
    ok="the CRDs of the target release know every field in use",
)
def field_pruned(snapshot: Snapshot) -> Iterator[Problem]:
    """An object uses a field that the CRDs of the target release do not have.

    ## Why it matters
    The API server drops the field at the next write, without a word; a strict apply is refused.

    ## How to fix it
    Remove the field, or use what replaces it.
    """
    upgrade_of(snapshot)
    for resource, found in all_refusals(snapshot):
        if found.is_pruned:
            yield change(
                snapshot,
                resource.at(*found.path),
                f"the field {found.path[-1]} is gone in the CRD of {found.release}",
                today="the field is kept",
                after="it is pruned at the next write; a strict apply is refused",
                keep=("remove the field, or use what replaces it",),
                verify="kubectl apply --dry-run=server --validate=strict -f FILE",
                possible=found.possible,
            )
