"""EGU-1438 ca-of-other-namespace-refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TLS_POLICY, CONFIG_MAP, SECRET
from egops.rules import rule
from egops.snapshot import items, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.releases import notes_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Snapshot


@rule(
    code="EGU-1438",
    severity=Severity.ERROR,
    reads=(BACKEND_TLS_POLICY,),
    optional=(CONFIG_MAP, SECRET),
    since="0.1",
    changed_in=((1, 4, 2), (1, 5, 0)),
    link=notes_link((1, 4, 2)),
    ok="every BackendTLSPolicy finds its CA in its own namespace",
)
def ca_of_other_namespace_refused(snapshot: Snapshot) -> Iterator[Problem]:
    """A BackendTLSPolicy no longer finds its CA in another namespace.

    ## Why it matters
    Up to 1.4.1 the CA was looked for by name in every namespace. From 1.4.2 on only the
    policy's own counts: the policy is refused and requests to its backends get a 500.

    ## How to fix it
    Copy the CA into the namespace of the policy.
    """
    upgrade_of(snapshot)
    for policy in snapshot.all(BACKEND_TLS_POLICY):
        for index, ref in items(policy.spec, "validation", "caCertificateRefs"):
            kind = CONFIG_MAP if text(ref, "kind") == "ConfigMap" else SECRET
            name = text(ref, "name")
            elsewhere = [found.namespace for found in snapshot.all(kind) if found.name == name]
            if not elsewhere or policy.namespace in elsewhere:
                continue
            yield change(
                snapshot,
                policy.at("spec", "validation", "caCertificateRefs", index, "name"),
                f"the CA is not found: {kind.name} {name} is in namespace {elsewhere[0]} only",
                today=f"the one of namespace {elsewhere[0]} is taken",
                after="the policy is Accepted=False, its backends answer 500",
                keep=(f"copy {kind.name} {name} into namespace {policy.namespace}",),
                verify="the policy is Accepted=True",
            )
