"""Move from one generation to the other, in small steps that may be repeated.

    trust   every ca.crt trusts both CAs; everybody was seen to
    swap    every leaf is the goal's; everybody was seen to serve and present it
    drop    every ca.crt trusts the goal's CA alone; the other is refused

A rollback is the same move with the generations exchanged, from wherever it stands. What may be
skipped is told by the record: a generation that all trust needs no `trust`, one that nobody else
presents needs no `swap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from egops.apply import ObjectName
from egops.errors import AccessError, EgopsError, TimeoutReached
from egops.rotation import hmac
from egops.rotation import record as records
from egops.rotation.gates import Gates, is_same_trust, pods_of
from egops.rotation.generation import CRT, KEY, joined, value
from egops.rotation.installation import (
    EVENT,
    SECRET,
    WEBHOOK,
    Workload,
    find_installation,
    proxy_config_maps,
    read_secrets,
)
from egops.rotation.material import GATEWAY, PROXY, RATE_LIMIT, SECRETS
from egops.rotation.record import NEW, OLD, Record
from egops.rotation.restart import restart_patch, restore_patch
from egops.rotation.standby import SETTLE, Standby, leaves_by_label
from egops.rotation.world import Awaited
from egops.rotation.writes import ForeignChangeError, Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egops.rotation.generation import Generation
    from egops.rotation.installation import Installation
    from egops.rotation.lock import Lock
    from egops.rotation.world import Pod, World

Object = dict[str, Any]
T = TypeVar("T")

POLL = 2.0
FAILED = "key_rotation_failed"
CLUSTERS = ("cluster.xds_cluster.", "cluster.ratelimit_cluster.", "cluster.wasm_cluster.")
REFUSED = ("ssl.fail_verify_error", "ssl.fail_verify_san")


class GateTimeoutError(TimeoutReached):
    """A gate did not open in time; nothing was written after it."""


@dataclass(frozen=True)
class Pace:
    """How patient a move is, in seconds; `reconnect` restarts Envoy Gateway at the end."""

    gate: float = 600.0  # of each gate
    soak: float = 30.0  # of watching between two phases
    reconnect: bool = False
    overwrite: bool = False  # what somebody else wrote into the Secrets meanwhile


class Move:
    """One run towards a goal, under the lock."""

    def __init__(
        self, world: World, here: Installation, record: Record, lock: Lock, pace: Pace
    ) -> None:
        """Take where it is to happen and what is known."""
        self._world, self._here, self._record, self._pace = world, here, record, pace
        self._lock = lock
        self._writes = Writes(world, lock.renew, overwrite=pace.overwrite)
        self._baseline: dict[str, Mapping[str, float]] = {}
        self._restarted: set[str] = set()
        self._hears_no_events = False

    @property
    def record(self) -> Record:
        """Return what is known now."""
        return self._record

    def run(self, goal: str) -> None:
        """Go to a generation and prove it.

        Raises:
            GateTimeoutError: a gate stayed shut; running again goes on from there.
            ForeignChangeError, LockedError, AccessError: it says who is in the way.
        """
        self._mark(goal=goal, status=records.RUNNING)
        self._baseline = self._counters()
        if is_same_trust(self._record.new, self._record.old):
            self._mark(trusted=frozenset({OLD, NEW}))
        if goal not in self._record.trusted:
            self._trust(goal)
            self._soak()
        if self._record.presented != {goal} or self._holds_other_leaves(goal):
            self._swap(goal)
            self._soak()
        self._drop(goal)
        self._prove(goal)
        self._mark(status=records.ENDED)

    # -------------------------------------------------------------- phases

    def _trust(self, name: str) -> None:
        goal, other = self._record.of(name), self._record.other(name)
        self._begin("Trust", f"trust both CAs: {_cas(goal)} beside {_cas(other)}")
        bundle = joined(goal, other)
        for secret in SECRETS:
            self._bundle(secret, bundle, "trusts both CAs")
        self._outside(bundle)
        self._wait("Envoy Gateway", lambda gates: gates.gateways_trust(goal))
        self._wait("Envoy", lambda gates: gates.proxies_trust(goal, other))
        for fleet in self._seen(lambda gates: gates.stale_fleets(goal)):
            self._restart(fleet, PROXY, "it has read the CA once and does not again")
        self._wait("Envoy", lambda gates: gates.proxies_trust(goal, other))
        self._wait("Envoy", lambda gates: _stale(gates.stale_fleets(goal), "CA"))
        self._restart_limiter("its xDS client reads the CA only at its start")
        self._mark(trusted=frozenset({OLD, NEW}))

    def _swap(self, name: str) -> None:
        goal, other = self._record.of(name), self._record.other(name)
        self._begin("Swap", f"swap leaves to those of {_cas(goal)}")
        self._mark(presented=frozenset({OLD, NEW}))
        failed = self._failed_loads()
        for secret in SECRETS:
            if self._writes.leaf(self._here.namespace, secret, goal, self._generations):
                self._world.listener.done(f"Secret {secret} has the {name} leaf")
        if self._here.loads_xds_leaf_once:
            self._restart(self._here.gateway, GATEWAY, "this release reads its leaf once")
        webhook = self._has_webhook()
        self._wait("Envoy Gateway", lambda gates: gates.gateways_serve(goal, webhook=webhook))
        self._wait("the rate limit service", lambda gates: gates.limiters_serve(goal))
        self._wait("Envoy", lambda gates: gates.proxies_present(goal, other))
        why = "it has read its leaf once, and the rate limit service asks for it"
        for fleet in self._seen(lambda gates: gates.stale_leaf_fleets(goal)):
            self._restart(fleet, PROXY, why)
        self._wait("Envoy", lambda gates: _stale(gates.stale_leaf_fleets(goal), "leaf"))
        self._refuse_failed_loads(failed)
        self._restart_limiter("its xDS client still presents the leaf of its start")
        self._mark(presented=frozenset({name}))

    def _drop(self, name: str) -> None:
        goal, other = self._record.of(name), self._record.other(name)
        self._begin("Drop", f"trust {_cas(goal)} alone")
        if not is_same_trust(goal, other):
            self._mark(trusted=frozenset({name}))
        for secret in SECRETS:
            self._bundle(secret, goal.bundles[secret], f"trusts the {name} CA alone")
        self._outside(goal.bundles[PROXY], goal.webhook)
        self._wait("Envoy Gateway", lambda gates: gates.gateways_trust(goal))
        if not is_same_trust(goal, other):
            self._wait("Envoy Gateway", lambda gates: gates.gateways_refuse(other))
        self._wait("Envoy", lambda gates: gates.proxies_trust(goal, other))

    def _prove(self, name: str) -> None:
        goal, other = self._record.of(name), self._record.other(name)
        self._begin("Prove", "compare with the counters of the beginning")
        for workload in self._here.workloads:
            self._restore(workload)
        if self._here.rate_limit is not None and leaves_by_label(self._here.rate_limit):
            self._dismiss(Standby(self._world.cluster, self._writes, self._here.rate_limit, ""))
        if self._pace.reconnect:
            self._restart(
                self._here.gateway, GATEWAY, "every stream is to be made anew", again=name
            )
        self._wait("Envoy", lambda gates: gates.proxies_trust(goal, other))
        for line in comparison(self._baseline, self._counters()):
            self._world.listener.note(line)

    def new_hmac(self) -> None:
        """Write a new OIDC HMAC; restart Envoy Gateway where it salts Wasm paths with it."""
        self._begin("Hmac", "write a new OIDC HMAC")
        hit = hmac.effect(self._world, self._here)
        hmac.write(self._world, self._here, self._lock.renew)
        self._world.listener.done(f"Secret {hmac.NAME} has a new value; Envoys get it at once")
        if hit.wasm:
            why = "the paths of Wasm modules are salted with the HMAC of its start"
            self._restart(self._here.gateway, GATEWAY, why, again=f"hmac-{self._record.id}")

    def _holds_other_leaves(self, name: str) -> bool:
        """Return whether a Secret holds a leaf that is not the goal's: somebody else's, maybe."""
        pairs = self._record.of(name).pairs
        held = read_secrets(self._world.cluster, self._here.namespace)
        return any(
            (value(held[secret], CRT), value(held[secret], KEY))
            != (pairs[secret].certificate, pairs[secret].key)
            for secret in SECRETS
        )

    # -------------------------------------------------------------- writing

    def _bundle(self, secret: str, bundle: bytes, what: str) -> None:
        if self._writes.bundle(self._here.namespace, secret, bundle, self._generations):
            self._world.listener.done(f"Secret {secret} {what}")

    def _outside(self, bundle: bytes, webhook: bytes | None = None) -> None:
        """Write the CA where it stands outside of the Secrets."""
        for body in proxy_config_maps(self._world.cluster, self._here):
            ref = ObjectName(body["metadata"].get("namespace", ""), body["metadata"]["name"])
            if self._writes.config_map(ref, bundle):
                self._world.listener.done(f"ConfigMap {ref.namespace}/{ref.name} likewise")
        if self._has_webhook():
            wanted = bundle if webhook is None else webhook
            if self._writes.webhook(self._here.webhook_name, wanted):
                self._world.listener.done(f"caBundle of {self._here.webhook_name} likewise")

    def _has_webhook(self) -> bool:
        try:
            found = self._world.cluster.find(WEBHOOK, "", self._here.webhook_name)
        except AccessError:
            return False  # preflight has told
        return found is not None

    def _restart_limiter(self, why: str) -> None:
        workload = self._here.rate_limit
        if workload is None:
            return
        if not leaves_by_label(workload):
            self._restart(workload, RATE_LIMIT, why)
            return
        standby = Standby(self._world.cluster, self._writes, workload, self._stamp(RATE_LIMIT))
        if stale := self._seen(lambda _: standby.stale()):
            self._exchange(standby, workload, stale, why)
        self._dismiss(standby)
        self._restarted.add(str(workload))

    def _exchange(self, standby: Standby, workload: Workload, stale: list[Pod], why: str) -> None:
        """Replace pods that no request may meet while they stop."""
        if standby.is_outdated():
            self._dismiss(standby)
        who = str(workload)
        self._wait(who, lambda _: standby.stands_in())
        self._pause(SETTLE, "the standby pod is found by everybody")
        self._world.listener.done(f"{who}: {len(stale)} pods are replaced: {why}")
        self._wait(who, lambda _: standby.are_replaced(stale))
        self._pause(SETTLE, "nobody is sent to the old pods any more")
        self._wait(who, lambda _: standby.are_gone())

    def _dismiss(self, standby: Standby) -> None:
        """Remove what stood in, and what a killed run left behind."""
        if not standby.is_there():
            return
        self._wait("the standby pod", lambda _: standby.leaves())
        self._pause(SETTLE, "nobody is sent to the standby pod any more")
        self._wait("the standby pod", lambda _: standby.are_gone())

    def _stamp(self, secret: str) -> str:
        """Return what pods are marked with that have loaded what a Secret holds now."""
        # the version, not a checksum: content may go back and forth, and only a pod made after the
        # last write is known to have loaded it
        held = read_secrets(self._world.cluster, self._here.namespace)[secret]
        return f"{secret}-{held['metadata']['resourceVersion']}"

    def _restart(self, workload: Workload, secret: str, why: str, again: str = "") -> None:
        """Restart a workload so that all its pods have loaded what a Secret holds now."""
        stamp = self._stamp(secret) + (f"-{again}" if again else "")
        if self._writes.change(workload.api, workload.ref, lambda one: restart_patch(one, stamp)):
            self._world.listener.done(f"{workload} restarts: {why}")
        self._wait(str(workload), lambda gates: gates.rolled_out(workload, stamp))
        self._restore(workload)
        self._restarted.add(str(workload))

    def _restore(self, workload: Workload) -> None:
        if self._writes.change(workload.api, workload.ref, restore_patch):
            self._world.listener.done(f"{workload} has its own strategy again")

    def _mark(self, **changes: Any) -> None:
        """Write down what is known; the record is written before anything that may falsify it."""
        record = replace(self._record, **changes)
        wanted = record.annotations()

        def patch_of(live: Object) -> Object | None:
            found = live["metadata"].get("annotations") or {}
            same = all(found.get(key) == text for key, text in wanted.items())
            return None if same else {"metadata": {"annotations": wanted}}

        self._writes.change(SECRET, ObjectName(self._here.namespace, records.NAME), patch_of)
        self._record = record

    # -------------------------------------------------------------- waiting

    @property
    def _generations(self) -> tuple[Generation, Generation]:
        return self._record.old, self._record.new

    def _gates(self) -> Gates:
        """Return the gates of the installation as it is now: workloads come and go."""
        namespace = self._here.namespace
        self._writes.refuse_changed(read_secrets(self._world.cluster, namespace))
        chosen = self._here.version
        self._here = find_installation(self._world.cluster, self._here.namespace, chosen)
        return Gates(self._world.cluster, self._world.observer, self._here)

    def _wait(self, who: str, gate: Callable[[Gates], list[Awaited]]) -> None:
        """Poll a gate until it opens.

        Raises:
            GateTimeoutError: it did not.
        """
        began = self._world.clock.monotonic()
        while True:
            self._lock.renew()
            try:
                awaited = gate(self._gates())
            except (AccessError, ForeignChangeError):
                raise
            except EgopsError as exc:
                awaited = [Awaited(who, "be seen", exc.message)]
            passed = self._world.clock.monotonic() - began
            if not awaited:
                return
            self._world.listener.waiting(awaited, passed)
            if passed >= self._pace.gate:
                raise GateTimeoutError(
                    f"after {passed:.0f} s still awaited: {awaited[0]}"
                    + (f" and {len(awaited) - 1} more" if len(awaited) > 1 else ""),
                    hint="nothing was written since; `egops certs rotate` goes on from here, "
                    "`egops certs rollback` goes back",
                )
            self._world.clock.sleep(POLL)

    def _seen(self, look: Callable[[Gates], list[T]]) -> list[T]:
        """Return what a look at every pod gives, once every pod has answered."""
        found: list[T] = []

        def gate(gates: Gates) -> list[Awaited]:
            found[:] = look(gates)
            return []

        self._wait("Envoy", gate)
        return found

    def _pause(self, seconds: float, why: str) -> None:
        """Let pass what cannot be seen."""
        began = self._world.clock.monotonic()
        while (passed := self._world.clock.monotonic() - began) < seconds:
            self._lock.renew()
            self._world.listener.waiting([Awaited("a moment", why)], passed)
            self._world.clock.sleep(min(POLL, seconds - passed))

    def _soak(self) -> None:
        """Watch for a while what only new connections tell."""
        began = self._world.clock.monotonic()
        while (passed := self._world.clock.monotonic() - began) < self._pace.soak:
            self._lock.renew()
            left = self._pace.soak - passed
            self._world.listener.waiting([Awaited("soak", f"{left:.0f} s more")], passed)
            self._world.clock.sleep(min(POLL, left))
        if worse := list(refusals(self._baseline, self._counters())):
            raise EgopsError(
                f"since the beginning {worse[0]}",
                hint="`egops certs rollback` goes back; look at that proxy first",
            )

    # -------------------------------------------------------------- counters

    def _counters(self) -> dict[str, Mapping[str, float]]:
        found: dict[str, Mapping[str, float]] = {}
        for fleet in self._here.fleets:
            for pod in pods_of(self._world.cluster, fleet):
                if pod.is_ready and not pod.is_leaving:
                    try:
                        found[str(pod)] = self._world.observer.counters(pod)
                    except EgopsError as exc:
                        self._world.listener.note(f"counters of pod {pod} not read: {exc.message}")
        return found

    def _failed_loads(self) -> float:
        return sum(
            number
            for counters in self._counters().values()
            for name, number in counters.items()
            if name.endswith(FAILED)
        )

    def _refuse_failed_loads(self, before: float) -> None:
        if self._failed_loads() > before:
            raise EgopsError(
                "an Envoy could not load the new leaf (key_rotation_failed has risen)",
                hint="`egops certs rollback` writes the old leaves back",
            )

    def _begin(self, reason: str, title: str) -> None:
        self._world.listener.phase(title)
        if self._hears_no_events:
            return
        now = self._world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = self._here.gateway.body["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "egops-certs-", "namespace": self._here.namespace},
            "involvedObject": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": meta["name"],
                "namespace": self._here.namespace,
                "uid": meta.get("uid"),
            },
            "reason": f"CertificateRotation{reason}",
            "message": f"egops, rotation {self._record.id}, to the {self._record.goal} "
            f"certificates: {title}",
            "type": "Normal",
            "source": {"component": "egops"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._world.cluster.create(EVENT, event)
        except EgopsError as exc:
            self._hears_no_events = True
            self._world.listener.note(f"no Events are written: {exc.message}")


def _stale(fleets: list[Workload], part: str) -> list[Awaited]:
    return [Awaited(str(fleet), f"load the {part} in every context") for fleet in fleets]


def _cas(generation: Generation) -> str:
    serials = ", ".join(ca.serial[-8:] for ca in generation.authorities) or "none"
    return f"the {generation.name} CA …{serials}"


Counters = Mapping[str, Mapping[str, float]]


def refusals(before: Counters, after: Counters) -> Iterator[str]:
    """Yield which Envoys refused a server's certificate between two readings of the counters."""
    for pod in sorted(set(before) & set(after)):
        rises = (
            _rise(before[pod], after[pod], name)
            for name in after[pod]
            if name.startswith(CLUSTERS) and name.endswith(REFUSED)
        )
        if number := sum(rises):
            yield f"pod {pod} refused a server's certificate {number:.0f} times"


def comparison(before: Counters, after: Counters) -> Iterator[str]:
    """Yield what two readings tell: streams made anew, certificates refused, Envoys replaced."""
    yield from refusals(before, after)
    stayed = sorted(set(before) & set(after))
    kept = 0
    for pod in stayed:
        anew = _rise(before[pod], after[pod], "cluster.xds_cluster.upstream_cx_total")
        if after[pod].get("control_plane.connected_state") == 0:
            yield f"pod {pod} has no stream to Envoy Gateway"
        elif anew:
            yield f"pod {pod} connected to Envoy Gateway anew {anew:.0f} times"
        else:
            kept += 1
    if kept:
        yield f"{kept} of {len(before)} Envoys kept their xDS stream from beginning to end"
    if gone := len(set(before) - set(after)):
        yield f"{gone} of {len(before)} Envoys are no longer seen: replaced by new ones, or silent"


def _rise(old: Mapping[str, float], new: Mapping[str, float], name: str) -> float:
    return new.get(name, 0.0) - old.get(name, 0.0)
