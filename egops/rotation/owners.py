"""Who keeps the Secrets: somebody who would write the old content back is asked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]

# field managers that write once and do not come back by themselves
PASSING = (
    "envoy-gateway",
    "egops",
    "kubectl-edit",
    "kubectl-patch",
    "kubectl-create",
    "kubectl-replace",
    "before-",
)
MARKS = (
    ("annotations", "cert-manager.io/certificate-name", "cert-manager"),
    ("annotations", "cert-manager.io/issuer-name", "cert-manager"),
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux"),
    ("annotations", "meta.helm.sh/release-name", "Helm"),
    ("annotations", "reflector.v1.k8s.emberstack.com/reflects", "Reflector"),
)
KINDS = {"ExternalSecret": "External Secrets", "SealedSecret": "Sealed Secrets"}
GITOPS = (
    "commit the manifests of each phase (`egops certs rotate --emit DIR`), or keep it from "
    "reconciling these Secrets meanwhile"
)
ADVICE = {
    "cert-manager": "renew there, leaf by leaf; `egops certs adopt cert-manager` prints the order. "
    "A new CA needs two issuers that overlap: ca.crt belongs to cert-manager",
    "External Secrets": "write the new certificates where it reads them from, phase by phase "
    "(`egops certs rotate --emit DIR`)",
    "Sealed Secrets": "seal the manifests of each phase (`egops certs rotate --emit DIR`)",
    "Argo CD": GITOPS,
    "Flux": GITOPS,
    "Helm": "the release would write its own content back at the next upgrade; take these Secrets "
    "out of it first",
    "Reflector": "rotate the Secret that it copies",
}


@dataclass(frozen=True)
class Owner:
    """Who keeps a Secret, how we know, and what to do instead."""

    secret: str
    name: str
    evidence: str
    advice: str

    def __str__(self) -> str:
        """Return `Secret envoy belongs to Flux (label kustomize.toolkit.fluxcd.io/name)`."""
        return f"Secret {self.secret} belongs to {self.name} ({self.evidence})"


def owners(secret: Object, certificates: Iterable[Object] = ()) -> list[Owner]:
    """Return who keeps a Secret: by marks, owners, cert-manager's Certificates, field managers."""
    meta = secret.get("metadata") or {}
    name = str(meta.get("name"))
    found: dict[str, str] = {}
    for place, key, who in MARKS:
        if key in (meta.get(place) or {}):
            found.setdefault(who, f"{place.removesuffix('s')} {key}")
    for reference in meta.get("ownerReferences") or ():
        kind = str(reference.get("kind"))
        found.setdefault(KINDS.get(kind, kind), f"owned by {kind} {reference.get('name')}")
    for certificate in certificates:
        if (certificate.get("spec") or {}).get("secretName") == name:
            what = f"Certificate {(certificate.get('metadata') or {}).get('name')}"
            found.setdefault("cert-manager", what)
    for manager in _keepers(meta):
        found.setdefault(manager, "it owns fields of its data")
    other = "find out what it is: it may write the old content back, midway"
    return [Owner(name, who, why, ADVICE.get(who, other)) for who, why in found.items()]


def _keepers(meta: Object) -> list[str]:
    """Return the field managers of the data that may come back: appliers, and unknown ones."""
    names = []
    for entry in meta.get("managedFields") or ():
        manager = str(entry.get("manager") or "unknown")
        owns_data = "f:data" in (entry.get("fieldsV1") or {})
        if not owns_data or (manager.startswith(PASSING) and entry.get("operation") != "Apply"):
            continue
        if manager == "egops":
            continue
        names.append(_NAMES.get(manager, f"the field manager {manager}"))
    return names


_NAMES = {
    "cert-manager-certificates-issuing": "cert-manager",
    "argocd-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
    "external-secrets": "External Secrets",
    "controller": "Sealed Secrets",
}
