"""EGD-403 certificate-hostname-mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egops.finding import Problem, Severity
from egops.gatewayapi import OURS, SECRET
from egops.pki import bindings, pair
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.pki import Binding
    from egops.snapshot import Location, Snapshot


@rule(
    code="EGD-403",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=OURS,
    since="0.1",
    ok="every listener hostname is covered by one of its certificates",
)
def certificate_hostname_mismatch(snapshot: Snapshot) -> Iterator[Problem]:
    """No certificate of a listener covers the listener's hostname.

    ## Why it matters
    Envoy presents the certificate all the same, and clients refuse it: the name does not match. A
    wildcard stands for exactly one label: `*.shop.example` covers neither `shop.example` nor
    `a.b.shop.example`. The common name does not count.

    ## How to fix it
    Issue the certificate with the hostname among its subject alternative names, or correct the
    listener's hostname.
    """
    groups: dict[Location, list[Binding]] = {}
    for binding in bindings(snapshot):
        if binding.listener.hostname:
            groups.setdefault(binding.listener.at("hostname"), []).append(binding)
    for at, group in groups.items():
        listener = group[0].listener
        secrets = [binding.secret for binding in group]
        leaves = [pair(secret).leaf for secret in secrets if secret is not None]
        if None in secrets or None in leaves or not leaves:
            continue  # one that can't be read might be the right one
        names = sorted({name for leaf in leaves if leaf for name in leaf.names})
        if any(leaf and _serves(leaf, listener.hostname) for leaf in leaves):
            continue
        yield Problem(
            at,
            f"no certificate of listener {listener.name} covers {listener.hostname}",
            impact="clients refuse the certificate",
            evidence=(f"names in the certificates: {', '.join(names) or 'none'}",),
            remedy=(
                f"issue the certificate in {group[0].ref} with {listener.hostname}, or correct the "
                "hostname",
            ),
            related=tuple(secret.at("data", "tls.crt") for secret in secrets if secret),
        )


def _serves(leaf: Certificate, hostname: str) -> bool:
    """Return whether the names fit the hostname; under a wildcard a name of one host will do."""
    if leaf.covers(hostname):
        return True
    suffix = hostname.removeprefix("*")
    return hostname.startswith("*.") and any(name.lower().endswith(suffix) for name in leaf.names)
