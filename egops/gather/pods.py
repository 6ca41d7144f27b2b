"""The pods that can be asked: which ones, and the work that asks each."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from egops.gatewayapi import fleet_key, is_proxy
from egops.gather import controlplane, envoy
from egops.gather.controlplane import GATEWAYS
from egops.gather.draft import Draft
from egops.gather.pod_tls import (
    ENVOY_GATEWAY_PORTS,
    RATE_LIMIT_PORTS,
    Pairs,
    handshaker,
    meet_listeners,
)
from egops.gather.portforward import Exec, PortForward
from egops.snapshot import ControlPlane, Probe, Proxy, RateLimitServer, items, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.api import Api
    from egops.gather.asker import Asker
    from egops.gather.workers import Workers
    from egops.snapshot import Resource

PROXY_LABELS = "app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component=proxy"
GATEWAY_LABELS = "control-plane=envoy-gateway"
RATE_LIMIT = "ratelimit"
RATE_LIMIT_LABELS = (
    f"app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component={RATE_LIMIT}"
)


class Pods:
    """The proxies and Envoy Gateways of a cluster, and what is known of them so far."""

    def __init__(
        self,
        api: Api,
        source: SourceOptions,
        wanted: Wanted,
        progress: Progress,
        workers: Workers,
    ) -> None:
        """Take what to ask for and how."""
        self._api, self._source, self._wanted = api, source, wanted
        self._progress, self._workers = progress, workers
        self._of_proxy = envoy.wanted_of(wanted, source)
        self._of_gateway = controlplane.wanted_of(wanted, source)
        self._of_rate_limit = wanted.probes & {Probe.RATE_LIMIT_TLS}
        self._pairs = Pairs(api)
        self._lock = threading.Lock()
        self._proxies: list[Draft] = []
        self._gateways: list[Draft] = []
        self._rate_limits: list[Draft] = []
        self._notes: list[str] = []
        self._settled = False  # do we know which pods there are?
        self.unprobed: dict[Probe, str] = {}
        again = {Probe.STATS_AGAIN, Probe.METRICS_AGAIN} & wanted.probes
        if not source.window:
            self.unprobed |= dict.fromkeys(again, "counters were read once (--window 0)")

    @property
    def are_wanted(self) -> bool:
        """Return whether any pod is to be asked anything."""
        return bool(self._of_proxy or self._of_gateway or self._of_rate_limit)

    @property
    def _probes(self) -> tuple[Probe, ...]:
        return (*self._of_proxy, *self._of_gateway, *self._of_rate_limit)

    @property
    def selectors(self) -> list[str]:
        """Return the labels of the pods to ask."""
        return (
            [PROXY_LABELS] * bool(self._of_proxy)
            + [GATEWAY_LABELS] * bool(self._of_gateway)
            + [RATE_LIMIT_LABELS] * bool(self._of_rate_limit)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Return which pods were left out."""
        return tuple(self._notes)

    def unknown(self, reason: str) -> None:
        """Say why no pod is asked: they could not be listed."""
        with self._lock:
            self._settled = True
            self.unprobed |= dict.fromkeys(self._probes, reason)

    def found(self, pods: Iterable[Resource]) -> None:
        """Queue the work for those of these pods that are ours."""
        pods = sorted(pods, key=lambda pod: (pod.namespace, pod.name))
        notes: list[str] = []
        proxies = self._chosen([pod for pod in pods if is_proxy(pod)], notes)
        gateways = [
            pod
            for pod in pods
            if text(pod.labels, "control-plane") == "envoy-gateway" and not _is_leaving(pod)
        ]
        with self._lock:
            self._settled = True
            self._notes = notes
            self._proxies = [_draft(pod) for pod in proxies] if self._of_proxy else []
            self._gateways = [_draft(pod) for pod in gateways] if self._of_gateway else []
            if self._of_rate_limit:
                self._rate_limits = [_draft(pod) for pod in pods if _is_rate_limit(pod)]
            if self._of_proxy and not proxies:
                self.unprobed |= dict.fromkeys(self._of_proxy, self._no_proxy())
            if self._of_gateway and not gateways:
                reason = f"no Envoy Gateway pod was found ({GATEWAY_LABELS})"
                self.unprobed |= dict.fromkeys(self._of_gateway, reason)
        self._ask_proxies()
        self._ask_gateways()
        self._ask_rate_limits()

    def answers(
        self, late: str
    ) -> tuple[tuple[Proxy, ...], tuple[ControlPlane, ...], tuple[RateLimitServer, ...]]:
        """Return what each pod said; what is missing failed with `late`."""
        with self._lock:
            if late and not self._settled:
                self.unprobed |= dict.fromkeys(self._probes, late)
            for name, drafts in ((envoy.PROXIES, self._proxies), (GATEWAYS, self._gateways)):
                if drafts:
                    self._progress.done(name, f"{len(drafts)} pods")
            return (
                tuple(each.frozen(Proxy, self._of_proxy, late) for each in self._proxies),
                tuple(each.frozen(ControlPlane, self._of_gateway, late) for each in self._gateways),
                tuple(
                    each.frozen(RateLimitServer, self._of_rate_limit, late)
                    for each in self._rate_limits
                ),
            )

    def _no_proxy(self) -> str:
        if self._wanted.proxies:
            return f"no proxy pod is called {' or '.join(sorted(self._wanted.proxies))}"
        return "no proxy pod was found"

    def _chosen(self, pods: list[Resource], notes: list[str]) -> list[Resource]:
        """Return at most `--max-pods` running proxies of each fleet."""
        fleets: dict[str, list[Resource]] = {}
        leaving = 0
        for pod in pods:
            fleet = fleet_key(pod)
            if not self._is_asked_for(pod, fleet):
                continue
            if _is_leaving(pod):
                leaving += 1
                continue
            fleets.setdefault(fleet, []).append(pod)
        if leaving:
            notes.append(f"pods not read because they have ended or are about to: {leaving}")
        limit = self._source.max_pods
        for fleet, members in fleets.items():
            if len(members) > limit:
                members.sort(key=lambda pod: (text(pod.status, "phase") != "Running", pod.name))
                left = len(members) - limit
                notes.append(
                    f"{left} of {len(members)} proxies of {fleet or 'no Gateway'} were not read "
                    f"(--max-pods {limit})"
                )
        chosen = [pod for members in fleets.values() for pod in members[:limit]]
        return sorted(chosen, key=lambda pod: (pod.namespace, pod.name))

    def _is_asked_for(self, pod: Resource, fleet: str) -> bool:
        names = self._wanted.proxies
        return not names or bool(names & {fleet, pod.name, f"{pod.namespace}/{pod.name}"})

    # -------------------------------------------------------------- the work

    def _ask_proxies(self) -> None:
        if self._proxies:
            self._progress.start(envoy.PROXIES, len(self._proxies))
        for draft in self._proxies:
            if self._is_down(draft, self._of_proxy):
                self._progress.advance(envoy.PROXIES)
                continue
            asker = self._asker(draft, self._source.admin_port)
            if self._of_proxy & set(envoy.FIRST):
                work = envoy.reader(
                    draft, asker, self._of_proxy, self._source, self._workers, self._progress
                )
                self._workers.submit(self._then_meet(draft, work))
            if Probe.PROXY_LOG in self._of_proxy:
                self._workers.submit(self._log_reader(draft, Probe.PROXY_LOG, "envoy"))

    def _ask_gateways(self) -> None:
        works: list[Callable[[], None]] = []
        for draft in self._gateways:
            if self._is_down(draft, self._of_gateway):
                continue
            if Probe.METRICS in self._of_gateway:
                asker = self._asker(draft, controlplane.METRICS_PORT)
                works.append(
                    controlplane.metrics_reader(
                        draft, asker, self._of_gateway, self._source, self._workers
                    )
                )
            if Probe.EG_CONFIG_DUMP in self._of_gateway:
                asker = self._asker(draft, controlplane.ADMIN_PORT)
                works.append(controlplane.config_reader(draft, asker))
            if Probe.EG_LOG in self._of_gateway:
                works.append(self._log_reader(draft, Probe.EG_LOG, "envoy-gateway"))
            if Probe.TLS in self._of_gateway:
                works.append(self._handshaker(draft, Probe.TLS, ENVOY_GATEWAY_PORTS))
        if works:
            self._progress.start(GATEWAYS, len(works))
        for work in works:
            self._workers.submit(partial(self._counted, work))

    def _then_meet(self, draft: Draft, read: Callable[[], None]) -> Callable[[], None]:
        """Return the reading, followed by handshakes with the listeners that it found."""
        if Probe.LISTENER_TLS not in self._of_proxy:
            return read
        if self._source.via == "exec":
            draft.fail([Probe.LISTENER_TLS], "TLS handshakes need --via port-forward")
            return read

        def both() -> None:
            read()
            if reason := draft.failures.get(Probe.CONFIG_DUMP):
                draft.fail([Probe.LISTENER_TLS], reason)
            else:
                meet_listeners(self._api, draft)

        return both

    def _ask_rate_limits(self) -> None:
        for draft in self._rate_limits:
            if not self._is_down(draft, self._of_rate_limit):
                work = self._handshaker(draft, Probe.RATE_LIMIT_TLS, RATE_LIMIT_PORTS)
                self._workers.submit(work)

    def _handshaker(self, draft: Draft, probe: Probe, ports: tuple[int, ...]) -> Callable[[], None]:
        if self._source.via == "exec":
            draft.fail([probe], "TLS handshakes need --via port-forward")
            return lambda: None
        return handshaker(self._api, draft, probe, ports, self._pairs)

    def _counted(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._progress.advance(GATEWAYS)

    def _log_reader(self, draft: Draft, probe: Probe, container: str) -> Callable[[], None]:
        assert draft.pod is not None
        tail = (container, self._source.log_lines)
        return partial(controlplane.read_log, self._api, draft, draft.pod, probe, tail)

    @staticmethod
    def _is_down(draft: Draft, probes: Iterable[Probe]) -> bool:
        phase = text(draft.pod.status, "phase") if draft.pod else ""
        if phase in ("Running", ""):
            return False
        draft.fail(probes, f"the pod is {phase}")
        return True

    def _asker(self, draft: Draft, port: int) -> Asker:
        assert draft.pod is not None
        pod = draft.pod
        if self._source.via == "exec":
            names = [text(container, "name") for _, container in items(pod.spec, "containers")]
            return Exec(self._api, pod.namespace, pod.name, port, names)
        return PortForward(self._api, pod.namespace, pod.name, port)


def _is_leaving(pod: Resource) -> bool:
    return "deletionTimestamp" in pod.metadata or text(pod.status, "phase") in (
        "Succeeded",
        "Failed",  # evicted: it stays as a record, another one runs in its place
    )


def _is_rate_limit(pod: Resource) -> bool:
    labels = pod.labels
    return (
        text(labels, "app.kubernetes.io/managed-by") == "envoy-gateway"
        and text(labels, "app.kubernetes.io/component") == RATE_LIMIT
        and not _is_leaving(pod)
    )


def _draft(pod: Resource) -> Draft:
    return Draft(f"{pod.namespace}/{pod.name}", pod)
