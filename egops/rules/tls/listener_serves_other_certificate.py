"""EGD-433 listener-serves-other-certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import CannotJudge, Problem, Severity, Unjudged
from egops.gatewayapi import SECRET
from egops.pki import changed_at, pair, sent_chain, shown_leaf, tls_chains
from egops.proxies import age, location_of, short_name, unanswered
from egops.rules import rule
from egops.snapshot import Probe
from egops.xds.names import parse_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.certs import Certificate
    from egops.handshakes import Handshake
    from egops.pki import TlsChain
    from egops.snapshot import Proxy, Resource, Snapshot

DELIVERY = timedelta(minutes=5)


@rule(
    code="EGD-433",
    severity=Severity.ERROR,
    reads=(SECRET,),
    probes=(Probe.CONFIG_DUMP, Probe.LISTENER_TLS),
    since="0.1",
    ok="every listener of every proxy shows the certificate that its Secret holds",
)
def listener_serves_other_certificate(snapshot: Snapshot) -> Iterator[Problem | Unjudged]:
    """A handshake with a proxy's listener shows another certificate than its Secret holds.

    ## Why it matters
    This is what clients see. It can differ from one proxy of a fleet to the next, and the config
    dump does not tell: it shows refused secrets as active.

    ## How to fix it
    If Envoy was sent the Secret's certificate and serves another, it refused it: EGD-405. If it was
    sent an old one, see whether it is connected (EGD-440) and whether Envoy Gateway publishes at
    all (EGD-142).
    """
    judged = False
    silent: list[str] = []
    for proxy in snapshot.proxies:
        if not (proxy.has(Probe.LISTENER_TLS) and proxy.has(Probe.CONFIG_DUMP)):
            continue
        for handshake in proxy.handshakes:
            shown = shown_leaf(handshake)
            wanted = _wanted(proxy, handshake, snapshot)
            if shown is None or not wanted:
                silent.append(_reason(proxy, handshake))
                continue
            judged = True
            if shown.fingerprint not in {each.leaf.fingerprint for each in wanted}:
                yield _problem(proxy, handshake, shown, wanted, snapshot)
    if silent:
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        yield Unjudged(f"{silent[0]}{more}")
    elif not judged:
        raise CannotJudge("no proxy has a listener that ends TLS")
    yield from unanswered(snapshot, Probe.LISTENER_TLS)


class Wanted(NamedTuple):
    """A certificate that a listener may show."""

    leaf: Certificate
    secret: Resource
    sent: Certificate | None  # what Envoy was sent for it


def _wanted(proxy: Proxy, handshake: Handshake, snapshot: Snapshot) -> list[Wanted]:
    """Return the certificates of the chain that was asked; none if one of them is unknown."""
    found = []
    for chain in tls_chains(proxy.config):
        if not _is_of(handshake, chain):
            continue
        for name in chain.secrets:
            secret = _secret(name, snapshot)
            leaf = pair(secret).leaf if secret is not None else None
            if secret is None or leaf is None:
                return []
            found.append(Wanted(leaf, secret, _sent(proxy, name)))
    return found


def _is_of(handshake: Handshake, chain: TlsChain) -> bool:
    return handshake.port == chain.port and handshake.server_name in chain.asked


def _secret(name: str, snapshot: Snapshot) -> Resource | None:
    parsed = parse_secret(name)
    for owner in parsed.owners if parsed else ():
        if owner.kind == "Secret":
            return snapshot.find(SECRET, owner.namespace, owner.name)
    return None


def _sent(proxy: Proxy, name: str) -> Certificate | None:
    for entry in proxy.config.secrets:
        if entry.name == name and entry.state == "active":
            chain = sent_chain(entry)
            return chain[0] if chain else None
    return None


def _reason(proxy: Proxy, handshake: Handshake) -> str:
    if handshake.chain:
        what = "the Secret of the listener was not read"
    else:
        what = handshake.reason or handshake.outcome
    name = handshake.server_name or "any name"
    return f"{short_name(proxy)} port {handshake.port} for {name}: {what}"


def _problem(
    proxy: Proxy, handshake: Handshake, shown: Certificate, wanted: list[Wanted], snapshot: Snapshot
) -> Problem:
    first = wanted[0]
    changed = changed_at(first.secret)
    was_sent = first.sent is not None and first.sent.fingerprint == first.leaf.fingerprint
    over = shown.not_after <= snapshot.taken_at
    return Problem(
        location_of(proxy, section=f"{handshake.port} {handshake.server_name}".strip()),
        f"shows another certificate for {handshake.server_name or 'any name'} than "
        f"{first.secret.ref} holds",
        impact="clients refuse it: it has ended" if over else "clients get the old certificate",
        evidence=(
            f"shown: {shown}, SHA-256 {shown.fingerprint[:16]}",
            *(f"{each.secret.ref}: {each.leaf}, {each.leaf.fingerprint[:16]}" for each in wanted),
            f"sent to Envoy: {first.sent or 'unknown'}",
            *((f"the Secret was written {age(changed, snapshot)} ago",) if changed else ()),
        ),
        why="Envoy was sent the right one and does not use it"
        if was_sent
        else "Envoy has not been sent the Secret's certificate",
        remedy=(
            "see why it was refused: egops doctor --only EGD-405"
            if was_sent
            else "see whether it is connected (EGD-440) and Envoy Gateway publishes (EGD-142)",
        ),
        severity=None if over else Severity.WARNING,
        settled=changed is None or snapshot.taken_at - changed >= DELIVERY,
        related=(first.secret.at("data", "tls.crt"),),
    )
