"""EGD-413 backend-ca-not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, read_chain, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    BACKEND_TLS_POLICY,
    CONFIG_MAP,
    DEPLOYMENT,
    ENVOY_GATEWAY,
    SECRET,
    Entry,
    condition,
    object_ref,
    our_ancestors,
)
from egops.pki import is_redacted
from egops.rules import rule
from egops.snapshot import Kind, entries, items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Location, Resource, Snapshot

REASONS = ("InvalidCACertificateRef", "NoValidCACertificate", "InvalidKind")
KEY = "ca.crt"


@rule(
    code="EGD-413",
    severity=Severity.ERROR,
    reads=(BACKEND_TLS_POLICY,),
    optional=(CONFIG_MAP, SECRET, DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="every BackendTLSPolicy finds the CA it names",
)
def backend_ca_not_found(snapshot: Snapshot) -> Iterator[Problem]:
    """A BackendTLSPolicy names a CA certificate that is not there.

    ## Why it matters
    Envoy Gateway fails closed: the routes to this backend answer 500.

    ## How to fix it
    Put the PEM of the issuing CA under the key `ca.crt` of a ConfigMap or Secret in the policy's
    namespace, and name it in `validation.caCertificateRefs`.
    """
    for policy in snapshot.all(BACKEND_TLS_POLICY):
        if entries(policy.status, "ancestors") and not our_ancestors(policy, snapshot):
            continue
        faults = list(_faults(policy, snapshot))
        told = list(_told(policy, snapshot))
        if not faults and told:
            faults = [(policy.at("spec", "validation"), told[0].partition(": ")[2] or told[0])]
        for at, fault in faults:
            yield Problem(
                at,
                fault,
                impact="routes to this backend answer 500",
                evidence=tuple(told),
                remedy=(f"put the issuing CA under {KEY} of a ConfigMap and name it here",),
                explains=("EGD-340", "EGD-241", "EGD-501"),
                explains_refs=(str(policy.ref),),
            )


def _faults(policy: Resource, snapshot: Snapshot) -> Iterator[tuple[Location, str]]:
    validation = section(policy.spec, "validation")
    for index, body in items(validation, "caCertificateRefs"):
        entry = Entry(policy, ("spec", "validation", "caCertificateRefs", index), body)
        ref = object_ref(entry, kind="ConfigMap")
        if ref.ref is None or ref.ref.kind not in (CONFIG_MAP, SECRET):
            if ref.kind_name != "ClusterTrustBundle":
                yield entry.at("kind"), f"{ref.kind_name} can't hold a CA certificate"
            continue
        held = snapshot.find(ref.ref.kind, policy.namespace, ref.name)
        if held is None:
            if snapshot.knows(ref.ref.kind):
                name = f"{ref.kind_name} {policy.namespace}/{ref.name}"
                yield entry.at("name"), f"{name} does not exist"
        elif fault := _content_fault(held, ref.ref.kind):
            yield entry.at("name"), f"{held.ref}: {fault}"


def _content_fault(held: Resource, kind: Kind) -> str:
    data = section(held.body, "data") or section(held.body, "stringData")
    if not data:
        return "" if "data" not in held.body and kind == SECRET else f"it has no {KEY}"
    if KEY not in data and len(data) == 1:
        return ""  # newer releases take the only key, whatever its name
    try:
        value = secret_bytes(held, KEY)
        if value is None:
            return f"it has no {KEY}, only {', '.join(sorted(map(str, data)))}"
        if not is_redacted(value):
            read_chain(value)
    except CertificateError as exc:
        return f"{KEY}: {exc}"
    return ""


def _told(policy: Resource, snapshot: Snapshot) -> Iterator[str]:
    for ancestor in our_ancestors(policy, snapshot):
        for kind in ("Accepted", "ResolvedRefs"):
            found = condition(ancestor.body, kind)
            if (
                found is not None
                and found.is_false
                and found.reason in REASONS
                and found.is_fresh(policy)
                and found.has_settled(policy, snapshot)
            ):
                yield f"{kind}=False {found.reason}: {found.message}"
