"""EGD-414 client-ca-expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.certs import CertificateError, expired, read_chain, secret_bytes
from egops.finding import Problem, Severity
from egops.gatewayapi import (
    CLIENT_TRAFFIC_POLICY,
    CONFIG_MAP,
    SECRET,
    Entry,
    object_ref,
)
from egops.pki import is_redacted
from egops.rules import rule
from egops.snapshot import items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Location, Resource, Snapshot

PATH = ("spec", "tls", "clientValidation", "caCertificateRefs")


@rule(
    code="EGD-414",
    severity=Severity.ERROR,
    reads=(CLIENT_TRAFFIC_POLICY,),
    optional=(CONFIG_MAP, SECRET),
    since="0.1",
    ok="no CA for client certificates has ended",
)
def client_ca_expired(snapshot: Snapshot) -> Iterator[Problem]:
    """The CA bundle for client certificates holds certificates that have ended.

    ## Why it matters
    If none is valid any more, no client can authenticate and handshakes fail. If only some are, the
    clients they issued are refused, and a strict control plane may refuse the whole bundle.

    ## How to fix it
    Remove the ended certificates from the bundle, and add their successors.
    """
    for policy in snapshot.all(CLIENT_TRAFFIC_POLICY):
        bundles = list(_bundles(policy, snapshot))
        everything = [each for _, _, chain in bundles for each in chain]
        valid = len(everything) - len(expired(everything, snapshot.taken_at))
        for at, held, chain in bundles:
            for each in expired(chain, snapshot.taken_at):
                yield _problem(at, held, each, valid)


def _problem(at: Location, held: Resource, each: Certificate, valid: int) -> Problem:
    ended = each.not_after.strftime("%Y-%m-%d")
    return Problem(
        at,
        f"the client CA {each.subject} in {held.ref} ended on {ended}",
        impact="its clients are refused"
        if valid
        else "no client can authenticate: no CA of the policy is valid",
        evidence=(f"serial {each.serial}", f"{valid} valid certificates in the bundle"),
        remedy=(f"remove it from {held.ref} and add its successor",),
        severity=None if not valid else Severity.WARNING,
        related=(held.at(),),
    )


def _bundles(
    policy: Resource, snapshot: Snapshot
) -> Iterator[tuple[Location, Resource, tuple[Certificate, ...]]]:
    for index, body in items(section(policy.spec, "tls", "clientValidation"), PATH[-1]):
        ref = object_ref(Entry(policy, (*PATH, index), body), kind="Secret")
        held = snapshot.get(ref.ref) if ref.ref else None
        if held is None or held.kind not in (SECRET, CONFIG_MAP):
            continue
        try:
            value = secret_bytes(held, "ca.crt")
            if value is not None and not is_redacted(value):
                yield ref.entry.at("name"), held, read_chain(value)
        except CertificateError:
            continue  # Envoy Gateway refuses the policy and says so: EGD-340
