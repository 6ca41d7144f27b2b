"""EGD-431 control-plane-keys-readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    ROLE,
    ROLE_BINDING,
    SECRET,
)
from egops.pki import control_plane_secrets
from egops.rules import rule
from egops.snapshot import entries, items, section, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from egops.snapshot import Resource, Snapshot

READING = {"get", "list", "watch", "*"}
# who runs the cluster reads everything, by definition
OPERATORS = ("system:", "kubeadm:")
SYSTEM = ("kube-system", "cert-manager")
NAMES = {"envoy-gateway", "envoy", "envoy-rate-limit", "envoy-oidc-hmac"}


@rule(
    code="EGD-431",
    severity=Severity.INFO,
    reads=(SECRET, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="nobody but the cluster's own and Envoy Gateway can read the control plane's keys",
)
def control_plane_keys_readable(snapshot: Snapshot) -> Iterator[Problem]:
    """Others than Envoy Gateway can read the Secrets of the control plane.

    ## Why it matters
    Who reads the key of `envoy` gets the configuration of every proxy, with the certificates of all
    listeners; who reads that of `envoy-gateway` can send proxies what they like.

    ## How to fix it
    Narrow the roles, or know that these subjects are as trusted as Envoy Gateway. After a role was
    too wide for the wrong subject: `egops certs rotate`.
    """
    for namespace, secrets in control_plane_secrets(snapshot):
        if not secrets:
            continue
        found: dict[str, str] = {}
        for binding in (*snapshot.all(ROLE_BINDING), *snapshot.all(CLUSTER_ROLE_BINDING)):
            if binding.namespace not in ("", namespace) or not _reads(binding, snapshot):
                continue
            for subject in _subjects(binding, namespace):
                found.setdefault(subject, f"{binding.kind} {binding.name}")
        if found:
            shown = sorted(found)
            more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
            yield Problem(
                next(iter(secrets.values())).at("metadata"),
                f"the keys in {namespace} can also be read by {', '.join(shown[:5])}{more}",
                impact="they can act as a proxy or as Envoy Gateway",
                evidence=tuple(f"{subject}: by {by}" for subject, by in sorted(found.items())),
                remedy=("narrow these roles, or accept that their subjects are trusted so far",),
            )


def _reads(binding: Resource, snapshot: Snapshot) -> bool:
    """Return whether the role of a binding lets its subjects read one of the Secrets."""
    ref = section(binding.body, "roleRef")
    kind = CLUSTER_ROLE if text(ref, "kind") == CLUSTER_ROLE.name else ROLE
    role = snapshot.find(kind, binding.namespace, text(ref, "name"))
    return role is not None and any(_covers(entry) for _, entry in items(role.body, "rules"))


def _covers(entry: Mapping[str, Any]) -> bool:
    names = set(map(str, entries(entry, "resourceNames")))
    return (
        bool({"", "*"} & set(map(str, entries(entry, "apiGroups"))))
        and bool({"secrets", "*"} & set(map(str, entries(entry, "resources"))))
        and bool(READING & set(map(str, entries(entry, "verbs"))))
        and (not names or bool(names & NAMES))
    )


def _subjects(binding: Resource, namespace: str) -> Iterator[str]:
    for _, subject in items(binding.body, "subjects"):
        name, where = text(subject, "name"), text(subject, "namespace") or binding.namespace
        if text(subject, "kind") == "ServiceAccount":
            if where not in (namespace, *SYSTEM):
                yield f"ServiceAccount {where}/{name}"
        elif name and not name.startswith(OPERATORS):
            yield f"{text(subject, 'kind')} {name}"
