"""A cluster: the wanted kinds, each with one list; the wanted documents, from each pod.

Everything runs at once: wall time is that of the slowest list, requests are as many as kinds and
pods. What can't be read is a value with its reason; only a server that can't be asked at all stops.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from egops.errors import AccessError, EgopsError, TimeoutReached
from egops.gatewayapi import (
    CONFIG_MAP,
    CONFIG_NAME,
    DERIVED,
    ENVOY_GATEWAY,
    POD,
    SECRET,
)
from egops.gather.api import JSON, Api, Query, StatusError, path_of
from egops.gather.asker import CutError
from egops.gather.http import Calls
from egops.gather.kubeconfig import connect
from egops.gather.manifests import envoy_gateway_config, ordered
from egops.gather.pods import Pods
from egops.gather.workers import Workers
from egops.snapshot import Kind, Probe, Resource, Snapshot, Source, SourceType, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from egops.gather import Progress, SourceOptions, Wanted
    from egops.gather.kubeconfig import Connection
    from egops.gather.prometheus import Asked

OBJECTS = "objects"  # the name under which progress hears of the lists
# groups that every API server has: their lists need not wait for discovery
ALWAYS = frozenset(
    {
        "", "apps", "batch", "autoscaling", "policy", "discovery.k8s.io", "coordination.k8s.io",
        "networking.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io",
    }
)  # fmt: skip
HELM = "helm.sh/release.v1"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# secrets of these types are known to be there, and no more is kept of them
SEALED = frozenset(
    {
        HELM, "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token",
        "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson", "kubernetes.io/ssh-auth",
    }
)  # fmt: skip


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
    """One reading of a cluster. Threads write into it, `snapshot` freezes it."""

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
        self.kinds = frozenset(kind for kind in wanted.kinds if kind not in DERIVED)
        self.pods = Pods(api, source, wanted, progress, workers)
        self._lock = threading.Lock()
        self._found: dict[Kind, list[Resource]] = {}
        self._unread: dict[Kind, str] = {}
        self._absent: set[Kind] = set()
        self._partly: set[Kind] = set()
        self._unprobed: dict[Probe, str] = {}
        self._version = ""
        self._prometheus: Asked | None = None

    # -------------------------------------------------------------- what is to be done

    def start(self) -> None:
        """Queue the first requests; they queue the others."""
        derived = set(DERIVED) & self.wanted.kinds
        self.progress.start(OBJECTS, len(self.kinds | derived))
        later = sorted(kind for kind in self.kinds if kind.group not in ALWAYS)
        if later:
            self.workers.submit(self._discovering(later))
        for kind in sorted(self.kinds - set(later)):
            self.workers.submit(self._listing(kind, kind.versions))
        if ENVOY_GATEWAY in derived and CONFIG_MAP not in self.kinds:
            self.workers.submit(self._read_config)
        if POD not in self.kinds and self.pods.are_wanted:
            self.workers.submit(self._find_pods)
        if Probe.KUBERNETES_VERSION in self.wanted.probes:
            self.workers.submit(self._read_version)
        if Probe.PROMETHEUS in self.wanted.probes or self.wanted.queries:
            self.workers.submit(self._ask_prometheus)

    def _discovering(self, kinds: list[Kind]) -> Callable[[], None]:
        def discover() -> None:
            served = self._guarded(self.api.served, kinds)
            if served is FAILED:
                return
            for kind in kinds:
                if served is None:  # an old server: try the versions in turn
                    self.workers.submit(self._listing(kind, kind.versions))
                    continue
                versions = served.get((kind.group, kind.plural), ())
                known = tuple(version for version in kind.versions if version in versions)
                if known:
                    self.workers.submit(self._listing(kind, known[:1]))
                elif versions:
                    self._miss(kind, f"served only as {', '.join(versions)}, unknown to egops")
                else:
                    self._keep(kind, None)

        return discover

    def _listing(self, kind: Kind, versions: tuple[str, ...]) -> Callable[[], None]:
        def read() -> None:
            found = self._guarded(lambda: self._list(kind, versions), [kind])
            if found is FAILED:
                if kind == POD:
                    self.pods.unknown(f"pods: {self._unread[POD]}")
                return
            self._keep(kind, found)
            if kind == POD:
                self.pods.found(found or [])

        return read

    def _list(self, kind: Kind, versions: tuple[str, ...]) -> list[Resource] | None:
        """Return the objects of a kind, or None if it is not served."""
        for version in versions:
            try:
                if kind == SECRET:
                    return self._secrets()
                return self._resources(kind, *self._items(kind, version))
            except StatusError as exc:
                if exc.status != 404:
                    raise
        return None

    def _items(
        self, kind: Kind, version: str, query: Query = (), accept: str = JSON
    ) -> tuple[list[dict[str, Any]], str, str]:
        """Return the items of all namespaces: what is judged in one refers to others.

        Who may not list them all, and named a namespace, gets those of that namespace.
        """
        try:
            return self.api.items(path_of(kind.group, version, kind.plural), query, accept)
        except StatusError as exc:
            namespace = self.source.namespace
            if exc.status != 403 or not namespace or not kind.namespaced:
                raise
        path = path_of(kind.group, version, kind.plural, namespace)
        found = self.api.items(path, query, accept)
        with self._lock:
            self._partly.add(kind)
        return found

    def _secrets(self) -> list[Resource]:
        """Return the secrets, without what nobody needs; Helm's are read without their payload."""
        query = (("fieldSelector", f"type!={HELM}"),)
        found, api_version, kind = self._items(SECRET, "v1", query)
        for item in found:
            if item.get("type") in SEALED:
                item.pop("data", None)
                item.pop("stringData", None)
        query = (("fieldSelector", f"type={HELM}"),)
        releases, _, _ = self._items(SECRET, "v1", query, METADATA_ONLY)
        found += [{"metadata": item.get("metadata"), "type": HELM} for item in releases]
        return self._resources(SECRET, found, api_version, kind)

    @staticmethod
    def _resources(
        kind: Kind, found: list[dict[str, Any]], api_version: str, name: str
    ) -> list[Resource]:
        # the items of a built-in kind's list do not say what they are
        head = {"apiVersion": api_version or kind.api_version, "kind": name or kind.name}
        return [
            Resource(kind, item if "kind" in item else {**head, **item})
            for item in found
            if text(item, "metadata", "name")
        ]

    def _read_config(self) -> None:
        """Read the configurations of Envoy Gateway, and no other config map."""
        query = (("fieldSelector", f"metadata.name={CONFIG_NAME}"),)
        found = self._guarded(lambda: self._items(CONFIG_MAP, "v1", query), [ENVOY_GATEWAY])
        if found is not FAILED:
            self._keep_config(self._resources(CONFIG_MAP, *found))

    def _find_pods(self) -> None:
        """Read only our pods: nobody wants the others."""
        found: list[Resource] = []
        for selector in self.pods.selectors:
            query = (("labelSelector", selector),)
            items = self._guarded(partial(self._items, POD, "v1", query), [])
            if items is FAILED:
                return
            found += self._resources(POD, *items)
        self.pods.found(found)

    def _read_version(self) -> None:
        found = self._guarded(lambda: self.api.json("/version"), [], Probe.KUBERNETES_VERSION)
        if found is not FAILED:
            self._version = text(found, "gitVersion")

    def _ask_prometheus(self) -> None:
        from egops.gather.prometheus import ask, found, named  # noqa: PLC0415 - if a rule asks

        try:
            api, source = self.api, self.source
            prometheus = named(source, api.calls) if source.prometheus else found(api)
            self._prometheus = ask(prometheus, self.wanted.queries)
        except CutError:
            raise
        except EgopsError as exc:
            self._unprobed[Probe.PROMETHEUS] = exc.message

    # -------------------------------------------------------------- what came of it

    def _guarded(self, work: Callable[[], Any], kinds: list[Kind], *probes: Probe) -> Any:
        """Return what `work` returns, or FAILED once the reason is kept.

        An API server that has never answered, or does not take the credentials, stops everything.
        """
        try:
            return work()
        except (CutError, AccessError):
            raise
        except EgopsError as exc:
            if not self.api.answered:
                raise
            reason = exc.message
        for kind in kinds:
            self._miss(kind, reason)
        with self._lock:
            self._unprobed.update(dict.fromkeys(probes, reason))
        if not kinds and not probes:
            self.pods.unknown(f"pods: {reason}")
        return FAILED

    def _miss(self, kind: Kind, reason: str) -> None:
        with self._lock:
            self._unread[kind] = reason
            if kind == CONFIG_MAP and ENVOY_GATEWAY in self.wanted.kinds:
                self._unread[ENVOY_GATEWAY] = reason
        self.progress.advance(OBJECTS)

    def _keep(self, kind: Kind, found: list[Resource] | None) -> None:
        with self._lock:
            if found is None:
                self._absent.add(kind)
            else:
                self._found[kind] = found
        self.progress.advance(OBJECTS)
        if kind == CONFIG_MAP and ENVOY_GATEWAY in self.wanted.kinds:
            self._keep_config([each for each in found or () if each.name == CONFIG_NAME])

    def _keep_config(self, config_maps: list[Resource]) -> None:
        self._keep(ENVOY_GATEWAY, [envoy_gateway_config(each) for each in config_maps])

    def snapshot(self, taken_at: datetime, *, in_time: bool) -> Snapshot:
        """Return what is known now.

        Raises:
            TimeoutReached: nothing is.
        """
        late = "" if in_time else f"timed out after {self.source.timeout:g} s"
        proxies, control_planes = self.pods.answers(late)
        with self._lock:
            found, unread, absent = dict(self._found), dict(self._unread), frozenset(self._absent)
            partly = frozenset(self._partly)
            unprobed = {**self.pods.unprobed, **self._unprobed}
        if late:
            for kind in self.wanted.kinds - found.keys() - absent:
                unread.setdefault(kind, late)
            if not self._version and Probe.KUBERNETES_VERSION in self.wanted.probes:
                unprobed.setdefault(Probe.KUBERNETES_VERSION, late)
            if not (found or absent or proxies or control_planes):
                raise TimeoutReached(
                    f"nothing was read from {self.api.connection.server} within "
                    f"{self.source.timeout:g} s",
                    hint="raise --timeout",
                )
        self.progress.done(OBJECTS, f"{sum(map(len, found.values()))} objects")
        return Snapshot(
            taken_at=taken_at,
            source=Source(
                SourceType.CLUSTER, self.api.connection.context, self.api.connection.server
            ),
            resources=ordered(found),
            unread=unread,
            absent=absent,
            proxies=proxies,
            control_planes=control_planes,
            unprobed=unprobed,
            partly=partly,
            notes=self._notes(partly),
            kubernetes_version=self._version,
            window_seconds=self.source.window,
            strict=self.source.strict,
            prometheus=self._prometheus.results if self._prometheus else {},
            timed_out=not in_time,
        )

    def _notes(self, partly: frozenset[Kind]) -> tuple[str, ...]:
        """Return what was left out."""
        notes = self.pods.notes + (self._prometheus.notes if self._prometheus else ())
        if partly:
            kinds = ", ".join(sorted(kind.plural for kind in partly))
            notes += (
                f"only namespace {self.source.namespace} was read of {kinds}: "
                f"listing all is forbidden",
            )
        return notes


FAILED = object()
