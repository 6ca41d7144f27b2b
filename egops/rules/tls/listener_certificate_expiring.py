"""EGD-402 listener-certificate-expiring."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from egops.certs import days, same_serial
from egops.finding import CannotJudge, Problem, Severity
from egops.gatewayapi import CERTIFICATE, OURS, SECRET, condition
from egops.pki import (
    CERT_MANAGER,
    Deadline,
    deadline,
    dumped_leaves,
    is_managed,
    listener_secrets,
    live_leaves,
    pair,
)
from egops.proxies import location_of, short_name
from egops.refusals import moment
from egops.rules import rule
from egops.snapshot import Probe, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.pki import Binding
    from egops.snapshot import Proxy, Resource, Snapshot
    from egops.xds import admin

LIMITS = Deadline(timedelta(days=30), timedelta(days=7))


@rule(
    code="EGD-402",
    severity=Severity.ERROR,
    optional=(*OURS, SECRET, CERTIFICATE),
    optional_probes=(Probe.CERTS, Probe.CONFIG_DUMP),
    since="0.1",
    ok="no listener certificate ends soon",
)
def listener_certificate_expiring(snapshot: Snapshot) -> Iterator[Problem]:
    """The certificate of a listener is about to end, or has ended.

    ## Why it matters
    From its last second on every client refuses the connection. Within 30 days it is a warning,
    within 7 days an error. Certificates that cert-manager renews alarm later, by their lifetime.

    ## How to fix it
    Renew it. If cert-manager owns it, see why the renewal did not happen: the Certificate's status,
    its CertificateRequest and Order.
    """
    live = [
        (proxy, leaf)
        for proxy in snapshot.proxies
        for leaf in (live_leaves(proxy) if proxy.has(Probe.CERTS) else dumped_leaves(proxy))
    ]
    secrets = listener_secrets(snapshot)
    if not live and not secrets:
        raise CannotJudge("neither Secrets of listeners nor certificates of proxies were read")
    known = []
    for secret, users in secrets:
        leaf = pair(secret).leaf
        if leaf is None:
            continue
        known.append(leaf.serial)
        limits = deadline(
            leaf.not_before, leaf.not_after, snapshot, LIMITS, managed=is_managed(secret)
        )
        if leaf.remaining(snapshot.taken_at) <= limits.warn:
            yield _of_secret(secret, leaf, users, limits, snapshot)
    yield from _of_proxies(live, known, snapshot)


def _severity(left: timedelta, limits: Deadline) -> Severity:
    return Severity.ERROR if left <= max(limits.fail, timedelta(0)) else Severity.WARNING


def _ends(left: timedelta) -> str:
    return f"ends {days(left)}" if left > timedelta(0) else f"ended {days(left)}"


def _of_secret(
    secret: Resource,
    leaf: Certificate,
    users: list[Binding],
    limits: Deadline,
    snapshot: Snapshot,
) -> Problem:
    left = leaf.remaining(snapshot.taken_at)
    owner = _owner(secret, snapshot)
    return Problem(
        secret.at("data", "tls.crt"),
        f"the certificate of {', '.join(sorted({str(user) for user in users}))} {_ends(left)}",
        impact="clients refuse the connection from then on"
        if left > timedelta(0)
        else "clients refuse the connection",
        evidence=(
            f"{leaf.subject or 'leaf'} from {leaf.issuer}, serial {leaf.serial}",
            f"valid until {leaf.not_after.strftime('%Y-%m-%d %H:%M')} UTC",
            f"names: {', '.join(leaf.names) or 'none'}",
        ),
        why=owner,
        remedy=_remedy(secret, owner),
        severity=_severity(left, limits),
        related=tuple(user.ref.entry.at("name") for user in users),
        explains=("EGD-401",),
        explains_refs=(str(secret.ref),),
    )


def _owner(secret: Resource, snapshot: Snapshot) -> str:
    """Return who is to renew it, and what that one says."""
    name = text(secret.annotations, CERT_MANAGER)
    if not name:
        return ""
    certificate = snapshot.find(CERTIFICATE, secret.namespace, name)
    ready = condition(certificate.status, "Ready") if certificate else None
    state = f": Ready={ready.status} {ready.reason} {ready.message}".rstrip() if ready else ""
    return f"cert-manager Certificate {secret.namespace}/{name} renews it{state}"


def _remedy(secret: Resource, owner: str) -> tuple[str, ...]:
    if owner:
        return (f"see why the renewal did not happen: {owner.partition(':')[0]}",)
    return (f"issue a new certificate and write it to {secret.ref}",)


def _of_proxies(
    live: list[tuple[Proxy, admin.Certificate]], known: list[str], snapshot: Snapshot
) -> Iterator[Problem]:
    """Yield live certificates that no Secret in the snapshot holds; one for all proxies."""
    groups: dict[str, list[tuple[Proxy, admin.Certificate]]] = {}
    for proxy, leaf in live:
        if not any(same_serial(leaf.serial_number, serial) for serial in known):
            groups.setdefault(leaf.serial_number, []).append((proxy, leaf))
    for serial, holders in sorted(groups.items()):
        proxy, leaf = holders[0]
        end = moment(leaf.expiration_time)
        if end is None:
            continue
        left = end - snapshot.taken_at
        limits = deadline(moment(leaf.valid_from) or end, end, snapshot, LIMITS)
        if left > limits.warn:
            continue
        names = ", ".join(str(name) for name in leaf.subject_alt_names) or "no name"
        yield Problem(
            location_of(proxy, section=serial),
            f"the certificate for {names} that Envoy serves {_ends(left)}",
            impact="clients refuse the connection from then on"
            if left > timedelta(0)
            else "clients refuse the connection",
            evidence=(
                f"held by {', '.join(short_name(each) for each, _ in holders)}: serial {serial}",
                f"valid until {end.astimezone(UTC).strftime('%Y-%m-%d %H:%M')} UTC",
            ),
            remedy=("renew it, and see that the proxies get the new one (EGD-406)",),
            severity=_severity(left, limits),
            related=tuple(location_of(holder) for holder, _ in holders[1:]),
        )
