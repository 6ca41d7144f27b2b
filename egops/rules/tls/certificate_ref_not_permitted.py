"""EGD-404 certificate-ref-not-permitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity, Unjudged
from egops.gatewayapi import OURS, REFERENCE_GRANT, SECRET, grants
from egops.pki import bindings
from egops.rules import rule
from egops.snapshot import SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.pki import Binding
    from egops.snapshot import Snapshot


@rule(
    code="EGD-404",
    severity=Severity.ERROR,
    optional=(*OURS, REFERENCE_GRANT, SECRET),
    since="0.1",
    ok="every certificateRef into another namespace is permitted by a ReferenceGrant",
)
def certificate_ref_not_permitted(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A listener names a Secret of another namespace without permission.

    ## Why it matters
    Envoy Gateway refuses the reference (`RefNotPermitted`) and does not program the listener.

    ## How to fix it
    Create a ReferenceGrant in the Secret's namespace that lets Gateways (or ListenerSets) of the
    listener's namespace refer to Secrets.
    """
    for binding in bindings(snapshot):
        if binding.ref.ref is None or binding.ref.namespace == binding.listener.owner.namespace:
            continue
        if grants(snapshot, binding.listener.owner, binding.ref.ref):
            continue
        resolved = binding.listener.condition("ResolvedRefs")
        refused = resolved is not None and resolved.reason == "RefNotPermitted"
        sure = snapshot.source.type is SourceType.CLUSTER and snapshot.knows(REFERENCE_GRANT)
        if not (sure or refused or snapshot.all(REFERENCE_GRANT)):
            yield Unjudged(f"no ReferenceGrant in the input for {binding.ref}")
            continue
        yield _problem(binding, resolved.message if refused and resolved else "")


def _problem(binding: Binding, told: str) -> Problem:
    owner = binding.listener.owner
    return Problem(
        binding.ref.entry.at("namespace"),
        f"{owner.kind} {owner.namespace}/{owner.name} is not permitted to use {binding.ref}",
        impact=f"listener {binding.listener.name} is not programmed",
        evidence=(told,) if told else (),
        remedy=(f"create a ReferenceGrant in namespace {binding.ref.namespace}",),
        fix_patch=_grant(binding),
        explains=("EGD-211", "EGD-204", "EGD-205", "EGD-223", "EGD-311"),
        explains_refs=(str(owner.ref), str(binding.listener.gateway.ref)),
    )


def _grant(binding: Binding) -> str:
    owner = binding.listener.owner
    return f"""apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata:
  name: {owner.namespace}-{owner.name}
  namespace: {binding.ref.namespace}
spec:
  from:
    - group: {owner.kind.group}
      kind: {owner.kind.name}
      namespace: {owner.namespace}
  to:
    - group: ""
      kind: Secret
      name: {binding.ref.name}
"""
