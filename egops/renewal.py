"""Who renews a certificate: cert-manager, another tool that owns the object, or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.gatewayapi import CERTIFICATE, SECRET, per_snapshot
from egops.pki import CERT_MANAGER, CONTROL_PLANE_SECRETS
from egops.snapshot import items, text

if TYPE_CHECKING:
    from egops.snapshot import Resource, Snapshot


def renewer(holder: Resource, snapshot: Snapshot) -> str:
    """Return who renews what an object holds: an operator, certgen (which never does), unknown."""
    if owner := owner_of(holder, snapshot):
        return owner
    if holder.name in CONTROL_PLANE_SECRETS and holder.kind == SECRET:
        made = text(holder.labels, "control-plane") == "envoy-gateway"
        return "nobody: certgen made it" if made else "unknown"
    return "unknown"


def owner_of(holder: Resource, snapshot: Snapshot) -> str:
    """Return the tool that keeps an object as it wants it, or an empty string."""
    if name := text(holder.annotations, CERT_MANAGER):
        return f"cert-manager Certificate {holder.namespace}/{name}"
    place = (holder.namespace, holder.name)
    if holder.kind == SECRET and (certificate := _certificates_of(snapshot).get(place)):
        return f"cert-manager Certificate {holder.namespace}/{certificate}"
    for _, owner in items(holder.metadata, "ownerReferences"):
        if text(owner, "kind") in ("ExternalSecret", "SealedSecret"):
            return f"{text(owner, 'kind')} {holder.namespace}/{text(owner, 'name')}"
    return _writer(holder)


@per_snapshot
def _certificates_of(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Return cert-manager's Certificates by namespace and Secret."""
    return {
        (certificate.namespace, text(certificate.spec, "secretName")): certificate.name
        for certificate in snapshot.all(CERTIFICATE)
    }


def _writer(holder: Resource) -> str:
    """Return the tool that keeps an object in step with a repository or a chart, if one does."""
    for labels, key, name in (
        (holder.annotations, "argocd.argoproj.io/tracking-id", "Argo CD"),
        (holder.labels, "argocd.argoproj.io/instance", "Argo CD"),
        (holder.labels, "kustomize.toolkit.fluxcd.io/name", "Flux"),
        (holder.labels, "helm.toolkit.fluxcd.io/name", "Flux"),
        (holder.annotations, "meta.helm.sh/release-name", "Helm release"),
    ):
        if value := text(labels, key):
            return f"{name} {value.partition(':')[0]}"
    return ""
