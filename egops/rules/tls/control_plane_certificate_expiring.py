"""EGD-407 control-plane-certificate-expiring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from egops.certs import days
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, SECRET
from egops.pki import (
    control_plane_pairs,
    control_plane_secrets,
    deadline,
    is_managed,
    pair,
)
from egops.proxies import location_of
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.snapshot import Proxy, Resource, Snapshot

WARN, FAIL = timedelta(days=90), timedelta(0)
USERS = {
    "envoy-gateway": "the control plane",
    "envoy": "the proxies",
    "envoy-rate-limit": "the rate limit service",
}


@rule(
    code="EGD-407",
    severity=Severity.ERROR,
    optional=(SECRET, DEPLOYMENT, ENVOY_GATEWAY),
    optional_probes=(Probe.CERTS,),
    since="0.1",
    ok="no control plane certificate ends within 90 days",
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
    if not asked:
        raise CannotJudge(
            "neither the control plane's Secrets nor certificates of proxies were read"
        )
    for proxy in asked:
        yield from _of_proxy(proxy, snapshot)


def _of_secret(secret: Resource, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield one problem for a Secret: certgen's CA and certificate end at the same second."""
    found = pair(secret)
    ends = [("tls.crt", found.leaf), ("ca.crt", _last_to_end(found.authorities))]
    ending = [
        (key, certificate)
        for key, certificate in ends
        if certificate is not None
        and certificate.remaining(snapshot.taken_at)
        <= deadline(certificate, WARN, FAIL, managed=is_managed(secret)).warn
    ]
    if ending:
        key, first = min(ending, key=lambda each: each[1].not_after)
        both = all(each.not_after - first.not_after < timedelta(hours=1) for _, each in ending)
        keys = [name for name, _ in ending] if both else [key]
        yield _problem(secret, keys, first, snapshot)


def _last_to_end(bundle: tuple[Certificate, ...]) -> Certificate | None:
    """Return the CA that is trusted longest: a bundle in rotation may hold an old one."""
    return max(bundle, key=lambda each: each.not_after, default=None)


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
        severity=Severity.ERROR if over else Severity.WARNING,
        explains=("EGD-440", "EGD-408") if over else (),
    )


def _of_proxy(proxy: Proxy, snapshot: Snapshot) -> Iterator[Problem]:
    for pair_ in control_plane_pairs(proxy):
        for what, certificate in [("certificate", pair_.cert_chain[0])] + [
            ("CA", authority) for authority in pair_.ca_cert[:1]
        ]:
            end = moment(certificate.expiration_time)
            left = end - snapshot.taken_at if end else None
            if end is None or left is None or left > WARN:
                continue
            over = left <= timedelta(0)
            yield Problem(
                location_of(proxy, section=what),
                f"the {what} for the control plane {'ended' if over else 'ends'} {days(left)}",
                impact="this proxy can't reconnect" + ("" if over else " from then on"),
                evidence=(f"/certs: serial {certificate.serial_number}, until {end.isoformat()}",),
                remedy=("egops certs rotate",),
                severity=Severity.ERROR if over else Severity.WARNING,
            )
