"""EGU-0014 deprecated-field-in-use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.rules import rule
from egops.upgrade.change import upgrade_of
from egops.upgrade.deprecated import KINDS, deprecated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

OWN_RULE = ((1, 1), (1, 4), (1, 7))  # EGU-1108, EGU-1411 and EGU-1711 tell of what these deprecate


@rule(
    code="EGU-0014",
    severity=Severity.INFO,
    optional=KINDS,
    since="0.1",
    changed_in=(1, 0, 0),
    link="https://gateway.envoyproxy.io/docs/api/extension_types/",
    ok="no object uses a deprecated field",
)
def deprecated_field_in_use(snapshot: Snapshot) -> Iterator[Problem]:
    """An object uses a field that is deprecated: it works, and will go.

    ## Why it matters
    Deprecated fields are dropped in some later release; the CRDs prune them then.

    ## How to fix it
    Use the field that replaces it.
    """
    step = upgrade_of(snapshot)
    for found in deprecated(snapshot):
        is_new = step.from_version[:2] < found.since
        if found.since <= step.to_version[:2] and not (is_new and found.since in OWN_RULE):
            yield found.problem(snapshot)
