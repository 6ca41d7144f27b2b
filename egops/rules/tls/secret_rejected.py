"""EGD-405 secret-rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from egops.certs import same_serial
from egops.finding import Problem, Severity
from egops.gatewayapi import DEPLOYMENT, ENVOY_GATEWAY, GATEWAY, GATEWAY_CLASS, SECRET, installs
from egops.pki import sent_chain
from egops.proxies import (
    age,
    ago,
    counted,
    fleet_refs,
    fleets,
    location_of,
    rises,
    short_name,
    unanswered,
    verb,
)
from egops.refusals import SECRET as SECRET_KIND
from egops.refusals import Refusal, refusals
from egops.rules import rule
from egops.snapshot import Location, Probe
from egops.xds.names import parse_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Unjudged
    from egops.proxies import Fleet
    from egops.snapshot import Proxy, Resource, Snapshot


@rule(
    code="EGD-405",
    severity=Severity.ERROR,
    optional=(SECRET, GATEWAY, GATEWAY_CLASS, DEPLOYMENT, ENVOY_GATEWAY),
    probes=(Probe.STATS,),
    optional_probes=(Probe.STATS_AGAIN, Probe.PROXY_LOG, Probe.CONFIG_DUMP, Probe.CERTS),
    since="0.1",
    ok="no proxy rejects a certificate or CA it is sent",
)
def secret_rejected(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A proxy rejects a certificate, key or CA that it is sent.

    ## Why it matters
    Envoy keeps the old certificate until that one expires, and shows the new one in its config dump
    all the same. A proxy that starts now has no certificate at all: its listener accepts
    connections and resets the TLS handshake.

    ## How to fix it
    Repair the Secret: key and certificate must fit, every certificate of the chain must decode and
    be valid (EGD-401). If the Secret is good, the TLS settings that use it are not: ciphers, curves
    or versions of a ClientTrafficPolicy or EnvoyPatchPolicy. Restarting the proxies does not help.
    """
    for fleet in fleets(snapshot.proxies):
        groups: dict[str, list[Refusal]] = {}
        for proxy in fleet.proxies:
            if proxy.has(Probe.STATS):
                for refusal in (*_refused(proxy), *_failed_rotations(proxy)):
                    groups.setdefault(refusal.name, []).append(refusal)
        for name, found in sorted(groups.items()):
            yield _problem(fleet, name, found, snapshot)
    yield from unanswered(snapshot, Probe.STATS)


def _refused(proxy: Proxy) -> list[Refusal]:
    found = []
    for refusal in refusals(proxy):
        if refusal.kind == SECRET_KIND:
            loaded = None if refusal.current else _is_loaded(proxy, refusal.name)
            if loaded is not None:
                refusal = replace(refusal, current=not loaded, is_over=loaded)
            found.append(refusal)
    return found


def _is_loaded(proxy: Proxy, name: str) -> bool | None:
    """Return whether what was sent (config dump) is in use (`/certs`); None if unknown."""
    if not (proxy.has(Probe.CONFIG_DUMP) and proxy.has(Probe.CERTS)):
        return None
    loaded = [
        certificate.serial_number
        for pair in proxy.certs.certificates
        for certificate in (*pair.cert_chain, *pair.ca_cert)
    ]
    for entry in proxy.config.secrets:
        if entry.name == name and entry.state == "active":
            sent = sent_chain(entry)
            if sent:
                return any(same_serial(sent[0].serial, each) for each in loaded)
    return None


def _failed_rotations(proxy: Proxy) -> Iterator[Refusal]:
    """Yield secrets read from files whose new content Envoy could not load."""
    for rise in rises(proxy, r"sds\..+\.key_rotation_failed"):
        name = rise.name.removeprefix("sds.").removesuffix(".key_rotation_failed")
        yield Refusal(rise.proxy, SECRET_KIND, name, count=int(rise.after), evidence=str(rise))


def _problem(fleet: Fleet, name: str, found: list[Refusal], snapshot: Snapshot) -> Problem:
    rejecting = [refusal for refusal in found if refusal.current] or found
    current = rejecting[0].current
    secret = _secret(name, snapshot)
    who = counted({r.proxy.name: r.proxy for r in rejecting}.values(), fleet.proxies)
    since = min((r.since for r in rejecting if r.since), default=None)
    reason = next((r.reason for r in rejecting if r.reason), "")
    what = f"secret {name}"
    serving = any(refusal.serving for refusal in rejecting)
    message = f"{who} {verb(who, 'reject')} {what}" + (f", {ago(since, snapshot)}" if since else "")
    if not current:
        count = sum(r.count for r in rejecting)
        times = f"{count} time{'s' if count != 1 else ''}"
        message = f"{who} rejected {what} {times} since its start"
        message += f", the last one {age(since, snapshot)} ago" if since else ""
    at = fleet.location(snapshot)
    return Problem(
        secret.at() if secret else Location(at.ref, at.path, at.origin, at.api_version, name),
        message,
        impact=_impact(serving=serving) if current else "",
        evidence=tuple(f"{short_name(r.proxy)}: {r.evidence}" for r in rejecting),
        why=f'"{reason}"' if reason else "",
        do_now=("do not restart, roll or scale these proxies",) if current and serving else (),
        remedy=("nothing: it was accepted since",)
        if all(refusal.is_over for refusal in rejecting)
        else (
            f"repair {secret.ref if secret else what}: key and certificate fit, every certificate "
            "of the chain decodes and is valid (EGD-401)",
            "if it is good: correct the TLS settings of the listeners that use it",
        ),
        severity=None if current else Severity.INFO,
        related=tuple(location_of(r.proxy) for r in rejecting),
        explains=("EGD-406", "EGD-442") if current else (),
        explains_refs=(*([str(secret.ref)] if secret else []), *fleet_refs(fleet, snapshot)),
    )


def _impact(*, serving: bool) -> str:
    if serving:
        return "Envoy keeps the old certificate; a proxy that restarts now has none"
    return "the listener accepts connections and resets the TLS handshake: it has no certificate"


def _secret(name: str, snapshot: Snapshot) -> Resource | None:
    """Return the Secret behind an SDS name, if it is in the snapshot."""
    if name.startswith("xds_"):
        for install in installs(snapshot):
            if found := snapshot.find(SECRET, install.namespace, "envoy"):
                return found
        return None
    parsed = parse_secret(name)
    for owner in parsed.owners if parsed else ():
        if owner.kind == "Secret" and (found := snapshot.find(SECRET, owner.namespace, owner.name)):
            return found
    return None
