"""EGD-439 given-certificate-expiring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.certs import days
from egops.finding import Problem, Severity
from egops.gatewayapi import CLIENT_TRAFFIC_POLICY, CONFIG_MAP, SECRET
from egops.inventory import USER_KINDS, uses
from egops.pki import Deadline, certificates, deadline, is_managed
from egops.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.inventory import Use
    from egops.snapshot import Snapshot

LIMITS = Deadline(timedelta(days=30), timedelta(days=7))


@rule(
    code="EGD-439",
    severity=Severity.ERROR,
    optional=(*USER_KINDS, SECRET, CONFIG_MAP),
    since="0.1",
    ok="no CA or client certificate that policies and Backends name ends soon",
)
def given_certificate_expiring(snapshot: Snapshot) -> Iterator[Problem]:
    """A CA or client certificate that a policy, Backend or EnvoyProxy names ends soon.

    ## Why it matters
    Without a valid CA no backend, or no client, is trusted; without a valid client certificate
    backends that want one refuse the proxies.

    ## How to fix it
    Put the successor into the same object; a bundle may hold old and new CA together for a while.
    """
    for use in uses(snapshot):
        chain, _ = certificates(use.holder, use.key)
        if use.key == "tls.crt":
            chain = chain[:1]
        if problem := _problem(use, chain, snapshot):
            yield problem


class End(NamedTuple):
    """How bad an end is, and in words."""

    severity: Severity
    words: str


def _end(use: Use, each: Certificate, snapshot: Snapshot) -> End | None:
    left = each.remaining(snapshot.taken_at)
    managed = is_managed(use.holder)
    limits = deadline(each.not_before, each.not_after, snapshot, LIMITS, managed=managed)
    if left <= timedelta(0):
        return End(Severity.ERROR, f"ended {days(left)}")
    if left <= limits.warn:
        severity = Severity.ERROR if left <= limits.fail else Severity.WARNING
        return End(severity, f"ends {days(left)}")
    return None


def _problem(use: Use, chain: tuple[Certificate, ...], snapshot: Snapshot) -> Problem | None:
    """Return one problem for all that ends in a bundle: one of many is milder than the only one."""
    ends = [(each, end) for each in chain if (end := _end(use, each, snapshot))]
    is_client_ca = use.owner.kind == CLIENT_TRAFFIC_POLICY
    if is_client_ca:  # an ended one is told by EGD-414
        ends = [(each, end) for each, end in ends if each.not_after > snapshot.taken_at]
    if not ends:
        return None
    first, end = min(ends, key=lambda pair: pair[0].not_after)
    others = any(_end(use, other, snapshot) is None for other in chain)
    what = "the client certificate" if use.key == "tls.crt" else "the CA"
    more = f", and {len(ends) - 1} more end soon" if len(ends) > 1 else ""
    return Problem(
        use.at,
        f"{what} {first.subject or first.serial} in {use.holder.ref} {end.words}{more}",
        impact=_impact(use, is_client_ca=is_client_ca, others=others),
        evidence=(
            *(f"{each}, valid until {each.not_after:%Y-%m-%d %H:%M} UTC" for each, _ in ends[:10]),
            f"{len(chain)} certificates in {use.key}",
        ),
        remedy=(f"put its successor into {use.holder.ref}",),
        severity=Severity.WARNING if others else end.severity,
        related=(use.holder.at("data", use.key),),
    )


def _impact(use: Use, *, is_client_ca: bool, others: bool) -> str:
    if others:
        return "only others of its bundle are trusted then"
    if use.key == "ca.crt" and not is_client_ca:
        return "backends are not trusted any more then"
    return "connections are refused then"
