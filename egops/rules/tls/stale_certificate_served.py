"""EGD-406 stale-certificate-served."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import same_serial
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import OURS, SECRET
from egops.pki import changed_at, listener_secrets, live_leaves, pair
from egops.proxies import age, counted, fleets, location_of, require, short_name, verb
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.pki import Binding
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Resource, Snapshot

DELIVERY = timedelta(minutes=5)


@rule(
    code="EGD-406",
    severity=Severity.WARNING,
    reads=(SECRET,),
    optional=OURS,
    probes=(Probe.CERTS,),
    since="0.1",
    ok="every proxy serves the certificates that the Secrets hold",
)
def stale_certificate_served(snapshot: Snapshot) -> Iterator[Problem]:
    """A proxy serves another certificate than the Secret of its listener holds.

    ## Why it matters
    A renewed certificate that does not arrive is noticed only when the old one ends. The config
    dump is no witness: it shows rejected certificates as active.

    ## How to fix it
    See whether the proxy rejects the Secret (EGD-405), whether it is connected (EGD-440), and
    whether Envoy Gateway publishes at all (EGD-142).
    """
    require(snapshot, SECRET)
    if not any(proxy.has(Probe.CERTS) for proxy in snapshot.proxies):
        raise CannotJudge("no proxy told its certificates")
    for fleet in fleets(snapshot.proxies):
        gateways = {gateway.ref for gateway in fleet.gateways(snapshot)}
        for secret, users in listener_secrets(snapshot):
            ours = [user for user in users if user.listener.gateway.ref in gateways]
            serving = [user for user in ours if _is_programmed(user)]
            leaf = pair(secret).leaf
            if serving and leaf is not None:
                yield from _judge(fleet, secret, leaf, serving, snapshot)


def _is_programmed(user: Binding) -> bool:
    programmed = user.listener.condition("Programmed")
    return programmed is not None and programmed.is_true


def _judge(
    fleet: Fleet, secret: Resource, leaf: Certificate, users: list[Binding], snapshot: Snapshot
) -> Iterator[Problem]:
    changed = changed_at(secret)
    if changed is None or snapshot.taken_at - changed < DELIVERY:
        return
    asked = [proxy for proxy in fleet.ready if proxy.has(Probe.CERTS)]
    stale = [proxy for proxy in asked if not _holds(proxy, leaf)]
    if not stale:
        return
    who = counted(stale, asked)
    yield Problem(
        secret.at("data", "tls.crt"),
        f"{who} {verb(who, 'do', 'does')} not serve the certificate that this Secret holds",
        impact="clients get the old certificate until it ends",
        evidence=(
            f"Secret: serial {leaf.serial}, written {age(changed, snapshot)} ago",
            *(f"{short_name(proxy)}: {_served(proxy, leaf)}" for proxy in stale),
        ),
        remedy=(
            "see whether it is rejected (EGD-405), not sent (EGD-142) or not received (EGD-440)",
        ),
        related=(
            *(location_of(proxy) for proxy in stale),
            *(user.ref.entry.at("name") for user in users),
        ),
    )


def _holds(proxy: Proxy, leaf: Certificate) -> bool:
    return any(same_serial(live.serial_number, leaf.serial) for live in live_leaves(proxy))


def _served(proxy: Proxy, leaf: Certificate) -> str:
    """Return the serials of live certificates with one of the same names."""
    serials = [
        live.serial_number
        for live in live_leaves(proxy)
        if {str(name) for name in live.subject_alt_names} & set(leaf.names)
    ]
    return f"serial {', '.join(serials)}" if serials else "no certificate for these names"
