"""EGU-1521 first-key-taken-as-ca."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import BACKEND_TLS_POLICY, CLIENT_TRAFFIC_POLICY, CONFIG_MAP, SECRET
from egops.rules import rule
from egops.snapshot import items, section, text
from egops.upgrade.change import change, upgrade_of
from egops.upgrade.pem import decoded
from egops.upgrade.releases import notes_link
from egops.upgrade.world import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egops.snapshot import Kind, Snapshot

PLACES = (
    (BACKEND_TLS_POLICY, ("validation", "caCertificateRefs")),
    (CLIENT_TRAFFIC_POLICY, ("tls", "clientValidation", "caCertificateRefs")),
)


@rule(
    code="EGU-1521",
    severity=Severity.WARNING,
    optional=(*ROUTES, BACKEND_TLS_POLICY, CLIENT_TRAFFIC_POLICY, CONFIG_MAP, SECRET),
    since="0.1",
    changed_in=(1, 5, 0),
    link=notes_link((1, 5, 0)),
    ok="every CA is kept under the key ca.crt",
)
def first_key_taken_as_ca(snapshot: Snapshot) -> Iterator[Problem]:
    """A CA is read from the first key of a ConfigMap or Secret without `ca.crt`.

    ## Why it matters
    Up to 1.4 a reference to an object without `ca.crt` was refused, and what used it failed.
    From 1.5 on another key is taken: certificates are checked against whatever it holds.

    ## How to fix it
    Put the CA under `ca.crt`, or remove the reference.
    """
    upgrade_of(snapshot)
    for kind, place in PLACES:
        for policy in snapshot.all(kind):
            for index, ref in items(policy.spec, *place):
                holder_kind = CONFIG_MAP if text(ref, "kind") == "ConfigMap" else SECRET
                holder = snapshot.find(holder_kind, policy.namespace, text(ref, "name"))
                data = section(holder.body, "data") if holder is not None else {}
                if not data or "ca.crt" in data or not _is_taken(kind, data):
                    continue
                yield change(
                    snapshot,
                    policy.at("spec", *place, index, "name"),
                    f"the CA is read from another key than ca.crt: {min(data)}",
                    today="the reference is refused, what uses the policy fails",
                    after="the first key is taken for the CA",
                    keep=("put the CA under ca.crt, or remove the reference",),
                    verify="the policy is Accepted=True and connections succeed",
                )


def _is_taken(kind: Kind, data: Mapping[str, object]) -> bool:
    """Return whether the first key is taken as it stands: client CAs are parsed first."""
    if kind != CLIENT_TRAFFIC_POLICY:
        return True
    first = str(data[min(data)])
    return "BEGIN CERTIFICATE" in first or b"BEGIN CERTIFICATE" in decoded(first)
