"""EGD-407 control-plane-certificate-expiring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import chain_to, days
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import (
    Deadline,
    answers_location,
    control_plane_pairs,
    control_plane_secrets,
    deadline,
    is_managed,
    pair,
    shown_leaf,
)
from egops.proxies import location_of
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Answers, Proxy, Resource, Snapshot

LIMITS = Deadline(timedelta(days=90), timedelta(0))
NOTED = timedelta(days=180)  # nothing renews it: `egops certs check` tells so early
USERS = {
    "envoy-gateway": "the control plane",
    "envoy": "the proxies",
    "envoy-rate-limit": "the rate limit service",
}


@rule(
    code="EGD-407",
    severity=Severity.ERROR,
    optional=(SECRET, DEPLOYMENT, ENVOY_GATEWAY),
    optional_probes=(Probe.CERTS, Probe.TLS, Probe.RATE_LIMIT_TLS),
    since="0.1",
    ok="no control plane certificate ends soon",
)
def control_plane_certificate_expiring(snapshot: Snapshot) -> Iterator[Problem]:
    """A certificate between proxies and control plane is about to end, or has ended.

    ## Why it matters
    Nothing renews what certgen made, and CA and certificates end at the same second. Connections
    that are open stay open, so a running proxy looks well; a new proxy, or one that reconnects, is
    refused and gets no configuration.

    ## How to fix it
    Rotate in stages with `egops certs rotate`: first trust the new CA everywhere, then replace the
    certificates. A plain `certgen --overwrite` breaks connections while it spreads.
    """
    found = False
    for _, secrets in control_plane_secrets(snapshot):
        for secret in secrets.values():
            found = True
            yield from _of_secret(secret, snapshot)
    if found:
        return
    asked = [proxy for proxy in snapshot.proxies if control_plane_pairs(proxy)]
    serving = [
        (answers, leaf)
        for answers in (*snapshot.control_planes, *snapshot.rate_limit_servers)
        if (leaf := _first_to_end(answers)) is not None
    ]
    if not asked and not serving:
        raise CannotJudge(
            "neither the control plane's Secrets nor certificates of proxies were read"
        )
    for proxy in asked:
        yield from _of_proxy(proxy, snapshot)
    for answers, leaf in serving:
        yield from _of_server(answers, leaf, snapshot)


def _of_secret(secret: Resource, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield one problem for what ends first, and one for each other CA of the bundle that ends.

    certgen's CA and certificate end at the same second: that is one problem.
    """
    found = pair(secret)
    last = max(found.authorities, key=lambda each: each.not_after, default=None)
    ends = [("tls.crt", found.leaf), ("ca.crt", last)]
    ending = [
        (key, certificate)
        for key, certificate in ends
        if certificate is not None and _severity(certificate, secret, snapshot)
    ]
    if ending:
        key, first = min(ending, key=lambda each: each[1].not_after)
        both = all(each.not_after - first.not_after < timedelta(hours=1) for _, each in ending)
        keys = [name for name, _ in ending] if both else [key]
        yield _problem(secret, keys, first, snapshot)
    for authority in found.authorities:
        if authority is not last and authority.not_after <= snapshot.taken_at:
            yield _ended(secret, authority, snapshot)


def _severity(certificate: Certificate, secret: Resource, snapshot: Snapshot) -> Severity | None:
    """Return how bad its end is; None if it is far off."""
    managed = is_managed(secret)
    limits = deadline(
        certificate.not_before, certificate.not_after, snapshot, LIMITS, managed=managed
    )
    left = certificate.remaining(snapshot.taken_at)
    if left <= max(limits.fail, timedelta(0)):
        return Severity.ERROR
    if left <= limits.warn:
        return Severity.WARNING
    return Severity.INFO if snapshot.expiry and not managed and left <= NOTED else None


def _ended(secret: Resource, authority: Certificate, snapshot: Snapshot) -> Problem:
    """Return the problem of a CA that ended while others of its bundle go on."""
    leaf = pair(secret).leaf
    others = [each for each in pair(secret).authorities if each is not authority]
    needed = leaf is not None and not chain_to(leaf, others)
    return Problem(
        secret.at("data", "ca.crt"),
        f"the bundle holds {authority.subject}, which ended "
        f"{days(authority.remaining(snapshot.taken_at))}",
        impact="the certificate beside it was issued by this CA" if needed else "",
        evidence=(f"serial {authority.serial}, {len(others)} other CAs",),
        remedy=("egops certs rotate: it drops the old CA",),
        severity=Severity.ERROR if needed else Severity.WARNING,
    )


def _problem(
    secret: Resource, keys: list[str], certificate: Certificate, snapshot: Snapshot
) -> Problem:
    left = certificate.remaining(snapshot.taken_at)
    over = left <= timedelta(0)
    words = " and ".join("CA" if key == "ca.crt" else "certificate" for key in keys)
    verb = ("ended" if over else "end") if len(keys) > 1 else ("ended" if over else "ends")
    return Problem(
        secret.at("data", keys[0]),
        f"{words} of {USERS[secret.name]} {verb} {days(left)}",
        impact="proxies that start or reconnect get no configuration"
        + ("" if over else " from then on"),
        evidence=(
            f"{certificate.subject}, serial {certificate.serial}",
            f"valid until {certificate.not_after.strftime('%Y-%m-%d %H:%M')} UTC",
        ),
        do_now=("do not restart, roll or scale the proxies",) if over else (),
        remedy=("egops certs rotate",)
        if not is_managed(secret)
        else ("see why cert-manager did not renew it, and that all Secrets share a CA (EGD-408)",),
        severity=_severity(certificate, secret, snapshot),
        explains=("EGD-440", "EGD-408") if over else (),
    )


def _of_proxy(proxy: Proxy, snapshot: Snapshot) -> Iterator[Problem]:
    for pair_ in control_plane_pairs(proxy):
        for what, certificate in [("certificate", pair_.cert_chain[0])] + [
            ("CA", authority) for authority in pair_.ca_cert[:1]
        ]:
            end = moment(certificate.expiration_time)
            if end is None:
                continue
            begin = moment(certificate.valid_from) or end
            limits, left = deadline(begin, end, snapshot, LIMITS), end - snapshot.taken_at
            if left > limits.warn:
                continue
            over = left <= timedelta(0)
            yield Problem(
                location_of(proxy, section=what),
                f"the {what} for the control plane {'ended' if over else 'ends'} {days(left)}",
                impact="this proxy can't reconnect" + ("" if over else " from then on"),
                evidence=(f"/certs: serial {certificate.serial_number}, until {end.isoformat()}",),
                remedy=("egops certs rotate",),
                severity=Severity.ERROR
                if left <= max(limits.fail, timedelta(0))
                else Severity.WARNING,
            )


def _first_to_end(answers: Answers) -> Certificate | None:
    """Return the certificate that a pod served and that ends first; None if it served none."""
    leaves = [leaf for each in answers.handshakes if (leaf := shown_leaf(each)) is not None]
    return min(leaves, key=lambda leaf: leaf.not_after, default=None)


def _of_server(answers: Answers, leaf: Certificate, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the problem of a pod whose certificate ends: all there is without the Secrets."""
    limits = deadline(leaf.not_before, leaf.not_after, snapshot, LIMITS)
    left = leaf.remaining(snapshot.taken_at)
    if left > limits.warn:
        return
    over = left <= timedelta(0)
    yield Problem(
        answers_location(answers),
        f"the certificate it serves {'ended' if over else 'ends'} {days(left)}",
        impact="nobody can connect to it" + ("" if over else " from then on"),
        evidence=(str(leaf),),
        remedy=("egops certs rotate",),
        severity=Severity.ERROR if left <= max(limits.fail, timedelta(0)) else Severity.WARNING,
    )
