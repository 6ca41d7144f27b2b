"""What a rotation would do, and what is in its way; worked out before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egops.apply import Api
from egops.certs import CertificateError, days, read_chain
from egops.errors import AccessError, EgopsError
from egops.rotation import record as records
from egops.rotation.gates import pods_of, unready
from egops.rotation.generation import CA, CRT, faults, value
from egops.rotation.installation import (
    SECRET,
    WEBHOOK,
    ca_bundle,
    find_installation,
    proxy_config_maps,
    read_secrets,
)
from egops.rotation.material import GATEWAY, SECRETS
from egops.rotation.owners import Owner, owners
from egops.rotation.restart import gap
from egops.rotation.state import State, read_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from egops.rotation.installation import Installation
    from egops.rotation.record import Record
    from egops.rotation.world import Context, World

Object = dict[str, Any]

CERTIFICATE = Api("cert-manager.io/v1", "Certificate", "certificates")
KUBELET = 90  # seconds until a node has the new content of a Secret, usually less
DRAIN = 75  # seconds from a new Envoy to the end of the old one, with the default drain of 60 s


@dataclass(frozen=True)
class Consumer:
    """One that loads the certificates: how, and whether that needs a restart."""

    name: str
    count: int
    loads: str
    restart: str = ""  # in which phases, or nothing


@dataclass(frozen=True)
class Found:
    """What preflight found. `blockers` stop everything, `warnings` are told."""

    here: Installation
    secrets: Mapping[str, Object] = field(repr=False)
    webhook: bytes
    has_webhook: bool
    state: State
    record: Record | None
    owners: tuple[Owner, ...]
    consumers: tuple[Consumer, ...]
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    now: datetime | None = None
    afresh: bool = False  # whatever record there is, it is not gone on with

    @property
    def is_under_way(self) -> bool:
        """Return whether a rotation was begun and not ended."""
        return self.record is not None and self.record.status == records.RUNNING

    @property
    def restarts(self) -> tuple[Consumer, ...]:
        """Return what is restarted."""
        return tuple(one for one in self.consumers if one.restart)


def look(
    world: World,
    namespace: str = "",
    release: tuple[int, ...] | None = None,
    *,
    afresh: bool = False,
) -> Found:
    """Return what is there. Reads only.

    Raises:
        InputError: there is no Envoy Gateway, or a Secret is missing.
        AccessError: something may not be read.
    """
    here = find_installation(world.cluster, namespace, release)
    secrets = read_secrets(world.cluster, here.namespace)
    blockers: list[str] = []
    warnings: list[str] = []
    webhook = world.cluster.find(WEBHOOK, "", here.webhook_name)
    kept = world.cluster.find(SECRET, here.namespace, records.NAME)
    record = records.from_object(kept) if kept and not afresh else None
    for name, secret in secrets.items():
        blockers += [f"Secret {name}: {fault}" for fault in faults(secret)]
    certificates: Sequence[Object] = ()
    try:
        certificates = world.cluster.list(CERTIFICATE, namespace=here.namespace) or ()
    except AccessError as exc:
        warnings.append(f"whether a Certificate of cert-manager keeps them is unknown: {exc}")
    kept_by = [owner for one in secrets.values() for owner in owners(one, certificates)]
    blockers += list(_unready(world, here))
    blockers += [f"{one}: {why}" for one in here.workloads if (why := gap(one))]
    state = read_state({name: (value(one, CRT), value(one, CA)) for name, one in secrets.items()})
    now = world.now()
    warnings += _expiry(secrets, now)
    if state.problems and record is None:
        warnings += [f"now: {problem}" for problem in state.problems]
    if here.version is None:
        warnings.append(
            "the image of Envoy Gateway tells no release; the most careful way is taken "
            "(--eg-version names it)"
        )
    if here.others:
        others = ", ".join(here.others)
        warnings.append(f"the Envoy Gateways of other namespaces stay as they are: {others}")
    if here.version and here.version >= (1, 4) and webhook is None:
        warnings.append(f"the webhook {here.webhook_name} is absent: its caBundle is left out")
    contexts = _contexts(world, here)
    return Found(
        here,
        secrets,
        ca_bundle(webhook),
        webhook is not None,
        state,
        record,
        tuple(kept_by),
        tuple(_consumers(world, here, contexts)),
        tuple(blockers),
        tuple(warnings),
        tuple(_unseen(world, here)),
        now,
        afresh,
    )


def _unready(world: World, here: Installation) -> Iterator[str]:
    for workload in here.workloads:
        pods = pods_of(world.cluster, workload)
        for one in unready(pods):
            yield f"{one.who} of {workload} is not Ready ({one.seen}): no gate could open"


def _expiry(secrets: Mapping[str, Object], now: datetime) -> Iterator[str]:
    for name, secret in secrets.items():
        for key in (CRT, CA):
            try:
                chain = read_chain(value(secret, key))
            except CertificateError:
                continue
            for one in chain:
                left = one.remaining(now)
                if left.total_seconds() <= 0:
                    yield (
                        f"{key} of Secret {name} expired {days(left)}: peers that connect anew "
                        "are refused until the leaves are swapped"
                    )
                if one.not_before > now:
                    yield f"{key} of Secret {name} is not valid before {one.not_before}"


def _contexts(world: World, here: Installation) -> dict[str, list[Context] | None]:
    """Return the contexts of each fleet's Envoys; None where one of them could not be asked."""
    found: dict[str, list[Context] | None] = {}
    for fleet in here.fleets:
        pods = [pod for pod in pods_of(world.cluster, fleet) if not pod.is_leaving]
        try:
            found[str(fleet)] = [
                one for pod in pods if pod.is_ready for one in world.observer.contexts(pod)
            ]
        except EgopsError:
            found[str(fleet)] = None
        if any(not pod.is_ready for pod in pods):
            found[str(fleet)] = None
    return found


def _consumers(
    world: World, here: Installation, contexts: Mapping[str, list[Context] | None]
) -> Iterator[Consumer]:
    pods = len(pods_of(world.cluster, here.gateway))
    if here.loads_xds_leaf_once:
        why = "its xDS leaf once, at its start (GatewayNamespace mode, this release)"
        yield Consumer(str(here.gateway), pods, why, "swap")
    else:
        yield Consumer(str(here.gateway), pods, "at every handshake")
    if here.rate_limit is not None:
        count = len(pods_of(world.cluster, here.rate_limit))
        loads = "its server's leaf when the file changes; as an xDS client once, at its start"
        yield Consumer(str(here.rate_limit), count, loads, "trust, swap")
    for fleet in here.fleets:
        count = len(pods_of(world.cluster, fleet))
        seen = contexts[str(fleet)]
        if seen is None:
            loads = (
                "xDS by SDS, hot; not all could be asked whether another cluster reads a CA once"
            )
            yield Consumer(str(fleet), count, loads, "trust")
        elif any(one.ca_path.startswith("/certs/") for one in seen):
            loads = "xDS by SDS, hot; the CA of its rate limit or Wasm cluster once"
            yield Consumer(str(fleet), count, loads, "trust")
        else:
            yield Consumer(str(fleet), count, "by SDS, when the file changes")


def _unseen(world: World, here: Installation) -> Iterator[str]:
    yield "that an Envoy has dropped the old CA: its admin port shows only the first of a bundle"
    if here.rate_limit is not None:
        yield "what the rate limit service trusts as a client: its pods are restarted instead"
        if here.rate_limit_checks_clients:
            yield (
                "which client CA the rate limit service holds (GRPC_CLIENT_TLS_CACERT): it reads "
                "it once, so the restarts of trust and swap cover it"
            )
    if here.is_gateway_namespace_mode:
        maps = proxy_config_maps(world.cluster, here)
        yield f"{len(maps)} ConfigMaps of proxies get the CA too; Envoy Gateway rewrites them"


def phases(found: Found) -> list[tuple[str, str, str]]:
    """Return the phases: name, what happens, how long it takes about."""
    here = found.here
    fleets = [one for one in found.consumers if one.restart == "trust"]
    limiter = 20 if here.rate_limit else 0
    envoys = max((DRAIN + 10 * one.count for one in fleets), default=0) * bool(fleets)
    gateway = 30 if any(one.name == str(here.gateway) for one in found.restarts) else 0
    restarts = ", ".join(one.name for one in fleets)
    trust = "ca.crt of the three Secrets holds both CAs" + (
        f"; then rolling restart of {restarts}" if restarts else ""
    )
    limited = "; the rate limit service restarts" if limiter else ""
    return [
        ("trust", trust + limited, _about(KUBELET + envoys * len(fleets) + limiter)),
        (
            "swap",
            "tls.crt and tls.key of the three Secrets are the new ones"
            + ("; Envoy Gateway restarts (streams end and come again)" if gateway else "")
            + limited,
            _about(KUBELET + gateway + limiter),
        ),
        ("drop", "ca.crt holds the new CA alone; the old one is refused", _about(KUBELET)),
        ("prove", "counters of every Envoy against those of the beginning", "seconds"),
    ]


def _about(seconds: int) -> str:
    return f"up to {max(1, round(seconds / 60))} min"


__all__ = ["GATEWAY", "SECRETS", "Consumer", "Found", "look", "phases"]
