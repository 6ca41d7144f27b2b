"""A cluster: the wanted kinds, each with one list; the wanted documents, from each pod.

Everything runs at once: wall time is that of the slowest list, requests are as many as kinds and
pods. What can't be read is a value with its reason; only a server that can't be asked at all stops.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from egops.errors import EgopsError, TimeoutReached
from egops.gatewayapi import POD, SERVICE
from egops.gather.api import Api
from egops.gather.asker import CutError
from egops.gather.http import Calls
from egops.gather.kubeconfig import connect
from egops.gather.lists import OBJECTS, Lists, Skipped, guarded, resources
from egops.gather.manifests import ordered
from egops.gather.pods import Pods
from egops.gather.workers import Workers
from egops.snapshot import Kind, Probe, Resource, Snapshot, Source, SourceType, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.kubeconfig import Connection
    from egops.gather.prometheus import Asked

TOLERATED = 60.0  # seconds that the clocks may differ before it is told


def read_cluster(
    source: SourceOptions, wanted: Wanted, progress: Progress, taken_at: datetime
) -> Snapshot:
    """Return the snapshot of a cluster.

    Raises:
        InputError: the kubeconfig is not usable.
        AccessError, UnreachableError: the API server can't be asked at all.
        TimeoutReached: `source.timeout` ran out before anything was known.
    """
    began = time.monotonic()
    with Workers(source.concurrency) as workers:
        connection = _connected(source, workers)
        calls = Calls()
        api = Api(connection, calls, source.request_timeout)
        reading = _Reading(api, source, wanted, progress, workers)
        left = max(0.0, source.timeout - (time.monotonic() - began)) if source.timeout else None
        try:
            reading.start()
            in_time = workers.wait(left)
        finally:
            calls.cut()
            connection.close()
    return reading.snapshot(taken_at, in_time=in_time)


def _connected(source: SourceOptions, workers: Workers) -> Connection:
    """Return the way to the cluster; a credential plugin may take no longer than the command."""
    if not source.timeout:
        return connect(source)
    found: list[Connection] = []
    workers.submit(lambda: found.append(connect(source)))
    if not workers.wait(source.timeout):
        raise TimeoutReached(
            f"no credentials within {source.timeout:g} s: the kubeconfig's plugin does not answer"
        )
    return found[0]


class _Reading:
    """One reading of a cluster. Threads write into its parts, `snapshot` freezes them."""

    def __init__(
        self,
        api: Api,
        source: SourceOptions,
        wanted: Wanted,
        progress: Progress,
        workers: Workers,
    ) -> None:
        self.api, self.source, self.wanted = api, source, wanted
        self.progress, self.workers = progress, workers
        self.lists = Lists(api, source, wanted, progress, workers)
        self.pods = Pods(api, source, wanted, progress, workers)
        self._unprobed: dict[Probe, str] = {}
        self._version = ""
        self._prometheus: Asked | None = None

    def start(self) -> None:
        """Queue the first requests; they queue the others."""
        if self.pods.are_wanted:
            if POD in self.lists.kinds:
                self.lists.tell(POD, self._hear_of_pods)
            else:
                self.workers.submit(self._find_pods)
        if Probe.PROMETHEUS in self.wanted.probes or self.wanted.queries:
            if SERVICE in self.lists.kinds and not self.source.prometheus:
                self.lists.tell(SERVICE, self._hear_of_services)
            else:
                self.workers.submit(self._ask_prometheus)
        self.lists.start()
        if Probe.KUBERNETES_VERSION in self.wanted.probes:
            self.workers.submit(self._read_version)

    def _hear_of_pods(self, _: Kind, found: list[Resource] | None, reason: str) -> None:
        if reason:
            self.pods.unknown(f"pods: {reason}")
        else:
            self.pods.found(found or [])

    def _find_pods(self) -> None:
        """Read only our pods: nobody wants the others."""
        try:
            found = [
                pod
                for selector in self.pods.selectors
                for pod in guarded(self.api, lambda query=selector: self._pods(query))  # type: ignore[misc]
            ]
        except Skipped as exc:
            self.pods.unknown(f"pods: {exc.reason}")
        else:
            self.pods.found(found)

    def _pods(self, selector: str) -> list[Resource]:
        return resources(POD, *self.lists.items(POD, "v1", (("labelSelector", selector),)))

    def _read_version(self) -> None:
        try:
            self._version = text(guarded(self.api, lambda: self.api.json("/version")), "gitVersion")
        except Skipped as exc:
            self._unprobed[Probe.KUBERNETES_VERSION] = exc.reason

    def _hear_of_services(self, _: Kind, found: list[Resource] | None, reason: str) -> None:
        if reason:
            self._unprobed[Probe.PROMETHEUS] = f"services: {reason}"
        else:
            services = [service.body for service in found or []]
            self.workers.submit(lambda: self._ask_prometheus(services))

    def _ask_prometheus(self, services: list[Mapping[str, Any]] | None = None) -> None:
        from egops.gather.prometheus import ask, found, named  # noqa: PLC0415 - if a rule asks

        try:
            api, source = self.api, self.source
            prometheus = named(source, api.calls) if source.prometheus else found(api, services)
            self._prometheus = ask(prometheus, self.wanted.queries)
        except CutError:
            raise
        except EgopsError as exc:
            self._unprobed[Probe.PROMETHEUS] = exc.message

    def snapshot(self, taken_at: datetime, *, in_time: bool) -> Snapshot:
        """Return what is known now.

        Raises:
            TimeoutReached: nothing is.
        """
        late = "" if in_time else f"timed out after {self.source.timeout:g} s"
        proxies, control_planes, rate_limit_servers = self.pods.answers(late)
        lists = self.lists
        if late and not (lists.found or lists.absent or proxies or control_planes):
            raise TimeoutReached(
                f"nothing was read from {self.api.connection.server} within "
                f"{self.source.timeout:g} s",
                hint="raise --timeout",
            )
        lists.settle(late)
        self.progress.done(OBJECTS, f"{sum(map(len, lists.found.values()))} objects")
        if self.source.now is None:
            # times in objects are of the cluster's clock: ages must not depend on this machine's
            taken_at -= timedelta(seconds=self.api.clock_ahead)
        return Snapshot(
            taken_at=taken_at,
            source=Source(
                SourceType.CLUSTER, self.api.connection.context, self.api.connection.server
            ),
            resources=ordered(lists.found),
            unread=lists.unread,
            absent=frozenset(lists.absent),
            partly=frozenset(lists.partly),
            proxies=proxies,
            control_planes=control_planes,
            rate_limit_servers=rate_limit_servers,
            unprobed=self._all_unprobed(late),
            notes=self._notes(),
            kubernetes_version=self._version,
            window_seconds=self.source.window,
            strict=self.source.strict,
            prometheus=self._prometheus.results if self._prometheus else {},
            timed_out=not in_time,
            clock_ahead=self.api.clock_ahead,
        )

    def _all_unprobed(self, late: str) -> dict[Probe, str]:
        unprobed = {**self.pods.unprobed, **self._unprobed}
        if late and not self._version:
            for probe in {Probe.KUBERNETES_VERSION} & self.wanted.probes:
                unprobed.setdefault(probe, late)
        if late and self._prometheus is None:
            for probe in {Probe.PROMETHEUS} & self.wanted.probes:
                unprobed.setdefault(probe, late)
        return unprobed

    def _notes(self) -> tuple[str, ...]:
        """Return what was left out."""
        notes = self.pods.notes + (self._prometheus.notes if self._prometheus else ())
        ahead = self.api.clock_ahead
        if abs(ahead) > TOLERATED:
            word = "ahead of" if ahead > 0 else "behind"
            notes += (
                f"the clock here is {abs(ahead):.0f} s {word} the API server's, which counts",
            )
        if self.lists.partly:
            kinds = ", ".join(sorted(kind.plural for kind in self.lists.partly))
            notes += (
                f"only namespace {self.source.namespace} was read of {kinds}: "
                f"listing all is forbidden",
            )
        return notes
