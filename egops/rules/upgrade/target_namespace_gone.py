"""EGU-1102 target-namespace-gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TRAFFIC_POLICY,
    CLIENT_TRAFFIC_POLICY,
    ENVOY_PATCH_POLICY,
    SECURITY_POLICY,
)
from egops.rules import rule
from egops.snapshot import SourceType, section, text
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot

KINDS = (BACKEND_TRAFFIC_POLICY, CLIENT_TRAFFIC_POLICY, SECURITY_POLICY, ENVOY_PATCH_POLICY)


@rule(
    code="EGU-1102",
    severity=Severity.ERROR,
    optional=(*KINDS,),
    since="0.1",
    changed_in=(1, 1, 0),
    link=notes_link((1, 1, 0)),
    ok="no policy names the namespace of its target",
)
def target_namespace_gone(snapshot: Snapshot) -> Iterator[Problem]:
    """A policy names the namespace of its target, a field that is gone.

    ## Why it matters
    A strict apply is refused; else the field is dropped. The policy and what it is for must be in
    one namespace.

    ## How to fix it
    Delete the field; move the policy if its target is elsewhere.
    """
    upgrade_of(snapshot)
    is_live = snapshot.source.type is SourceType.CLUSTER
    for kind in KINDS:
        for policy in snapshot.all(kind):
            target = section(policy.spec, "targetRef")
            if "namespace" not in target:
                continue
            # kubectl applies strictly; what is stored only loses the field
            mild = is_live and text(target, "namespace") == policy.namespace
            yield change(
                snapshot,
                policy.at("spec", "targetRef", "namespace"),
                "targetRef.namespace is gone",
                today="it must be the namespace of the policy",
                after="a strict apply is refused, else the field is dropped",
                keep=("delete spec.targetRef.namespace",),
                verify="kubectl apply --dry-run=server -f FILE",
                severity=Severity.WARNING if mild else Severity.ERROR,
                possible="certain if it is applied again" if mild else "",
                fix_patch=patch(policy, ("spec", "targetRef", "namespace")),
            )
